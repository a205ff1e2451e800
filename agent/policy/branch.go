package policy

import (
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxHead is more than git writes into HEAD, or into the .git of a worktree.
const maxHead = 4 << 10

// Branch returns the git branch of the work tree that dir is in, or "" where
// there is none: no repository, a detached HEAD, a rebase. It reads two small
// files at most and starts no git.
func Branch(dir string) string {
	for {
		name := filepath.Join(dir, ".git")
		if st, err := os.Stat(name); err == nil {
			if !st.IsDir() { // a worktree or a submodule: gitrepository-layout(5)
				to, ok := strings.CutPrefix(readSmall(name), "gitdir: ")
				if !ok {
					return ""
				}
				if name = filepath.FromSlash(to); !filepath.IsAbs(name) {
					name = filepath.Join(dir, name)
				}
			}
			branch, ok := strings.CutPrefix(readSmall(filepath.Join(name, "HEAD")), "ref: refs/heads/")
			if !ok || branch == ".invalid" { // what stands there in a repository with reftables
				return ""
			}
			return branch
		}
		up := filepath.Dir(dir)
		if up == dir || !ours(up) {
			return ""
		}
		dir = up
	}
}

// readSmall returns the first line of a file, "" if it cannot be read.
func readSmall(name string) string {
	if st, err := os.Stat(name); err != nil || !st.Mode().IsRegular() {
		return ""
	}
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	src, err := io.ReadAll(io.LimitReader(f, maxHead))
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(src), "\n")
	return strings.TrimRight(line, "\r")
}
