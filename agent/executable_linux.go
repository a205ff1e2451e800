package agent

import (
	"os"
	"strconv"
)

// executable returns the path of the program that pid runs, for the audit, or
// "" where the system does not say.
func executable(pid int) string {
	path, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	if err != nil {
		return ""
	}
	return path
}
