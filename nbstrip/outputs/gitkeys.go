package outputs

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"syscall"
)

// MayHaveKeys reports whether git's configuration might name keys that go or
// stay, for a process in dir. It says yes whenever a look at the usual files
// does not settle it: to ask git takes longer than all the rest. An error of
// read is syscall.ENOENT where there is no such file.
func MayHaveKeys(getenv func(string) string, dir string, read func(path string) ([]byte, error)) bool {
	if runtime.GOOS == "windows" {
		return true
	}
	for _, name := range []string{
		"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT", "GIT_CONFIG_SYSTEM", "GIT_CONFIG", "GIT_COMMON_DIR",
	} {
		if getenv(name) != "" {
			return true
		}
	}
	files := []string{"/etc/gitconfig", "/usr/local/etc/gitconfig", "/opt/homebrew/etc/gitconfig"}
	if file := getenv("GIT_CONFIG_GLOBAL"); file != "" {
		files = append(files, file)
	} else {
		xdg := getenv("XDG_CONFIG_HOME")
		if xdg == "" {
			xdg = getenv("HOME") + "/.config"
		}
		files = append(files, getenv("HOME")+"/.gitconfig", xdg+"/git/config")
	}
	for _, file := range files {
		if b, err := read(file); mentionsKeys(b) || err != nil && !missing(err) {
			return true
		}
	}
	if gitDir := getenv("GIT_DIR"); gitDir != "" {
		b, err := read(gitDir + "/config")
		return mentionsKeys(b) || err != nil && !missing(err)
	}
	return repositoryMayHaveKeys(dir, read)
}

// repositoryMayHaveKeys is about the configuration of the repository around dir.
func repositoryMayHaveKeys(dir string, read func(path string) ([]byte, error)) bool {
	for dir = strings.TrimRight(dir, "/"); ; dir = dir[:strings.LastIndexByte(dir, '/')] {
		b, err := read(dir + "/.git/config")
		if err == nil {
			return mentionsKeys(b)
		}
		if !missing(err) {
			return true // the .git of a worktree or of a submodule is a file
		}
		if _, err := read(dir + "/HEAD"); !missing(err) {
			return true // perhaps a bare repository
		}
		if dir == "" {
			return false
		}
	}
}

func missing(err error) bool { return errors.Is(err, syscall.ENOENT) }

// mentionsKeys reports whether a configuration file names keys, or other files.
func mentionsKeys(b []byte) bool {
	for i, c := range b { // which is nobody else's
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	for _, word := range []string{"extrakeys", "keepmetadatakeys", "[include", "worktreeconfig"} {
		if bytes.Contains(b, []byte(word)) {
			return true
		}
	}
	return false
}
