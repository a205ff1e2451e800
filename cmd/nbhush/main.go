// Command nbhush keeps secrets out of notebooks: it gives Jupyter kernels their
// secrets by name, and takes the values out of everything that is shown, saved
// or committed. See the README for the tour and `nbhush help` for the commands.
package main

import "os"

func main() {
	os.Exit(run(os.Args, stdio{os.Stdin, os.Stdout, os.Stderr}, os.Getenv))
}
