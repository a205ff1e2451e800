//go:build !linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func exit(code int) { os.Exit(code) }

// run runs the nbhush beside this program.
func run() int {
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	name := "nbhush"
	if strings.HasSuffix(self, ".exe") {
		name += ".exe"
	}
	nbhush := exec.Command(filepath.Join(filepath.Dir(self), name), append([]string{"nbstripout"}, os.Args[1:]...)...)
	nbhush.Stdin, nbhush.Stdout, nbhush.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err == nil {
		err = nbhush.Run()
	}
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		return ended.ExitCode()
	case err != nil:
		fmt.Fprintf(os.Stderr, "nbhush-outputs: error: %v\nnbhush-outputs: hint: ./install.sh puts nbhush beside it\n", err)
		return 1
	}
	return 0
}
