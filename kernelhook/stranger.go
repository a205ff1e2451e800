package kernelhook

import "fmt"

// strangerError says whose connection was refused.
type strangerError struct{ uid uint32 }

func (e *strangerError) Error() string {
	return fmt.Sprintf("a connection to this kernel by a process of the user with id %d was refused", e.uid)
}

// Hint says how such a user may be let in.
func (e *strangerError) Hint() string {
	return "if that is who should use it, write kernel_other_users = true into ~/.config/nbhush/config.toml, then restart the kernel"
}
