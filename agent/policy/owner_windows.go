package policy

// ours is always true: what a user's profile on Windows lies in belongs to the
// system, and the approval by hash guards the rest.
func ours(string) bool { return true }
