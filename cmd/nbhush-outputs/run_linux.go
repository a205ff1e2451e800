package main

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/nbhush/nbhush/nbstrip/outputs"
)

func exit(code int) { syscall.Exit(code) }

// run returns the exit code, unless nbhush takes this process over.
func run() int {
	alone := argc == 1
	if argc == 0 {
		argv, err := arguments()
		if err != nil {
			return fail(err.Error())
		}
		alone = len(argv) == 1
	}
	dir, err := syscall.Getwd()
	if !alone || err != nil || !blocks(0) || !blocks(1) || outputs.MayHaveKeys(getenv, dir, readFile) {
		return handOver()
	}
	return strip()
}

// large is how many bytes of a notebook take as long as all the rest does: a
// processor that somebody else wants, too, is then better left.
const large = 1 << 18

// strip strips standard input. Its words are nbstripout's, as nbhush's are.
func strip() int {
	src, err := readAll(0)
	if err != nil {
		return fail("read standard input: " + err.Error())
	}
	if len(src) > large {
		runtime.LockOSThread() // what is untied works
		untie()
	}
	stripper := outputs.New(outputs.Options{})
	out, err := stripper.Strip(src)
	if err != nil {
		_ = writeAll(2, []byte(outputs.Words(err, "on stdin", "stdin")+err.Error()+"\n"))
		return 1
	}
	out, _ = stripper.Form(out)
	if bytes.Contains(out, []byte("\r\n")) { // as nbstripout; none is inside of a string
		out = bytes.ReplaceAll(out, []byte("\r\n"), []byte("\n"))
	}
	if err := writeAll(1, out); err != nil {
		return fail("write standard output: " + err.Error())
	}
	return 0
}

// arguments returns the command line, the program's name first.
func arguments() ([]string, error) {
	b, err := readFile("/proc/self/cmdline")
	if err != nil {
		return nil, errors.New("read /proc/self/cmdline: " + err.Error())
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00"), nil
}

// handOver makes this process the nbhush beside it; it returns only if there is none.
func handOver() int {
	argv, err := arguments()
	if err != nil {
		return fail(err.Error())
	}
	var self [4096]byte
	n, err := syscall.Readlink("/proc/self/exe", self[:])
	if err != nil {
		return fail("read /proc/self/exe: " + err.Error())
	}
	nbhush := string(self[:1+bytes.LastIndexByte(self[:n], '/')]) + "nbhush"
	argv[0] = "nbstripout" // the name that tells nbhush what to be
	runtime.LockOSThread() // what this thread is untied from holds for nbhush
	untie()
	err = syscall.Exec(nbhush, argv, syscall.Environ())
	return fail("run " + nbhush + ": " + err.Error() + "\nnbhush-outputs: hint: ./install.sh puts nbhush beside it")
}

func fail(words string) int {
	_ = writeAll(2, []byte("nbhush-outputs: error: "+words+"\n"))
	return 1
}

// blocks reports whether reading and writing fd waits, as it does unless
// somebody who shares it set it otherwise; waiting is then more than this program can do.
func blocks(fd uintptr) bool {
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFL, 0)
	return errno == 0 && flags&syscall.O_NONBLOCK == 0
}

// small is where small files are read, one after the other, without fresh memory for each.
var small [4096]byte

// readFile returns what is valid until it is called again.
func readFile(path string) ([]byte, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err == syscall.EINTR { //nolint:errorlint // as it comes from the system
			continue
		}
		if err != nil {
			return nil, err
		}
		b, err := readTo(small[:0], fd)
		_ = syscall.Close(fd)
		return b, err
	}
}

// readAll reads a regular file in one piece, and all else as it comes.
func readAll(fd int) ([]byte, error) {
	size := 4096
	var st syscall.Stat_t
	if syscall.Fstat(fd, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFREG && st.Size < 1<<31 {
		size += int(st.Size)
	}
	return readTo(make([]byte, 0, size), fd)
}

// readTo appends what is left to read to b.
func readTo(b []byte, fd int) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, len(b))
		}
		n, err := syscall.Read(fd, b[len(b):cap(b)])
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return nil, err
		case n == 0:
			return b, nil
		default:
			b = b[:len(b)+n]
		}
	}
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := syscall.Write(fd, b)
		if err != nil && err != syscall.EINTR {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}
