package kernelspec

import "os"

// runs reports whether there is a file at path; its suffix says the rest.
func runs(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}
