package main

import (
	"runtime"
	"syscall"
	"unsafe"
)

const (
	atPhdr           = 3          // linux/auxvec.h
	atPhnum          = 5          // the same
	ptLoad           = 1          // elf.h
	pfW              = 2          // the same
	madvPopulateRead = 22         // asm-generic/mman-common.h; unknown before Linux 5.14
	rlimitNoFile     = 7          // asm-generic/resource.h
	prSetTimerSlack  = 29         // linux/prctl.h
	slack            = 10_000_000 // nanoseconds

	// maskSize is the size in bytes of a set of processors. Where there are more
	// than 1,024 the system does not tell them, and the process stays free.
	maskSize = 128
)

// What start leaves here; zero in a program that was linked without -E=main.start.
var (
	argc    int
	environ *[1 << 20]*byte // up to a nil
	files   syscall.Rlimit  // of open files, as it was
	allowed [maskSize]byte  // where the process may run
)

// rate is for start: what a package may not name, it may point to.
var rate = &runtime.MemProfileRate

// start makes the process a small one before Go's runtime begins, which spares
// it a third of its CPU time on a small notebook:
//
//   - It stays on the processor that it is on. The runtime then wakes no other
//     one and makes room for one.
//   - Its threads may sleep ten milliseconds longer than they ask for. The runtime's
//     clock thread would look every twentieth of a millisecond what there is to do.
//   - It can open no file but the standard ones until package syscall, as in every
//     program, raises that limit. The runtime would read which part of how many
//     processors its control group has.
//   - The program's text is mapped as a whole, not in the pieces of sixteen pages in
//     which it would be found missing.
//   - No allocation is sampled. The first one always is, before the runtime finds
//     out that nobody will read the profile.
func start()

var _, _ = start, rate // which assembly and the linker use

// untie takes back what start did, for the calling thread and for the program
// that it becomes.
func untie() {
	if argc == 0 {
		return
	}
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 0, 0) // what it began with
	if files.Max > 0 {
		_ = syscall.Setrlimit(rlimitNoFile, &files)
	}
	if allowed != [maskSize]byte{} {
		_, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, maskSize, uintptr(unsafe.Pointer(&allowed))) //nolint:gosec // a system call takes an address
	}
}

// getenv is syscall.Getenv, which makes a table of all variables first.
func getenv(name string) string {
	if argc == 0 {
		value, _ := syscall.Getenv(name)
		return value
	}
	for _, v := range environ {
		if v == nil {
			break
		}
		if value, ok := valueOf(v, name); ok {
			return value
		}
	}
	return ""
}

// valueOf returns what is behind name= in the C string v.
func valueOf(v *byte, name string) (string, bool) {
	at := func(i int) *byte { return (*byte)(unsafe.Add(unsafe.Pointer(v), i)) } //nolint:gosec // up to its end
	for i := range len(name) {
		if *at(i) != name[i] {
			return "", false
		}
	}
	if *at(len(name)) != '=' {
		return "", false
	}
	n := 0
	for *at(len(name) + 1 + n) != 0 {
		n++
	}
	return unsafe.String(at(len(name)+1), n), true //nolint:gosec // it stays as long as the process
}
