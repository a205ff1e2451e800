package vault

import "io/fs"

// othersCan returns "": the mode says nothing on Windows, where the access list
// of the user's profile keeps others out.
func othersCan(fs.FileInfo) string { return "" }
