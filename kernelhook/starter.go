package kernelhook

import (
	"path/filepath"
	"slices"
	"strings"
)

// runners are the programs that execute the notebook that their command line names.
var runners = []string{"papermill", "jupyter-execute", "jupyter-nbconvert"}

// operands are options of theirs and how many words after them are no file to execute.
var operands = map[string]int{
	"-p": 2, "--parameters": 2, "-r": 2, "--parameters_raw": 2, // papermill
	"--output": 1,
}

// notebookIn returns the notebook that a command line has executed, "" if that is
// not clear. These programs do not tell their kernels. papermill names a second
// one, for the outputs.
func notebookIn(argv []string) string {
	program, args := programOf(argv)
	if !slices.Contains(runners, program) {
		return ""
	}
	var found []string
	for len(args) > 0 {
		skip := operands[args[0]]
		if skip == 0 && filepath.Ext(args[0]) == ".ipynb" && !strings.HasPrefix(args[0], "-") {
			found = append(found, args[0])
		}
		args = args[min(1+skip, len(args)):]
	}
	switch {
	case len(found) == 1, len(found) == 2 && program == "papermill":
		return found[0]
	}
	return ""
}

// programOf returns the program of a command line and what it is given: of
// "python -m jupyter execute a.ipynb", jupyter-execute and a.ipynb.
func programOf(argv []string) (program string, args []string) {
	if len(argv) > 0 && strings.HasPrefix(filepath.Base(argv[0]), "python") {
		argv = argv[1:]
		if len(argv) > 0 && argv[0] == "-m" {
			argv = argv[1:]
		}
	}
	if len(argv) == 0 {
		return "", nil
	}
	program, args = filepath.Base(argv[0]), argv[1:]
	switch {
	case program == "jupyter" && len(args) > 0:
		return "jupyter-" + args[0], args[1:]
	case program == "nbconvert": // as a module
		return "jupyter-nbconvert", args
	}
	return program, args
}
