//go:build unix

package policy

import (
	"os"
	"syscall"
)

// ours says whether this user or root owns the folder. A folder whose owner is
// not known is not ours.
func ours(dir string) bool {
	st, err := os.Stat(dir)
	if err != nil {
		return false
	}
	owner, ok := st.Sys().(*syscall.Stat_t)
	return ok && (owner.Uid == 0 || int(owner.Uid) == os.Geteuid())
}
