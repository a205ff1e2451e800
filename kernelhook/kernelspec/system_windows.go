package kernelspec

import (
	"os"
	"path/filepath"
)

// runs reports whether there is a file at path; its suffix says the rest.
func runs(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

// pythonPlaces are where an environment keeps its interpreter: conda beside
// its folders, venv among its scripts.
func pythonPlaces(prefix, _ string) []string {
	return []string{filepath.Join(prefix, "python.exe"), filepath.Join(prefix, "Scripts", "python.exe")}
}

// owned reports whether the file at path is this user's own; here, what other
// users share lies in folders that only administrators can write.
func owned(string) bool { return true }
