//go:build unix

package vault

import (
	"fmt"
	"io/fs"
)

// othersCan returns the mode of a file that the group or others may touch, or "".
func othersCan(st fs.FileInfo) string {
	if perm := st.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Sprintf("%04o", perm)
	}
	return ""
}
