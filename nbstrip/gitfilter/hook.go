package gitfilter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nbhush/nbhush/agent/savefile"
)

// hook is the pre-commit hook, with the program at %s. It finds what a filter
// that was not set, or hash-object, let through.
const hook = `#!/bin/sh
# nbhush: nbhush git uninstall removes this file
exec %s git check
`

func hookFile(ctx context.Context, o Options) (string, error) {
	p, err := find(ctx, o)
	if err != nil {
		return "", err
	}
	file, err := git(ctx, p.top, "rev-parse", "--git-path", "hooks/pre-commit")
	if err != nil {
		return "", err
	}
	if file = filepath.FromSlash(file); !filepath.IsAbs(file) {
		file = filepath.Join(p.top, file)
	}
	return file, nil
}

// InstallHook makes git commit look for secrets in the notebooks that are
// staged. It returns the file it wrote, "" if all was as it should be. A hook
// that is there already stays, and is an error.
func InstallHook(ctx context.Context, o Options) (string, error) {
	file, err := hookFile(ctx, o)
	if err != nil {
		return "", err
	}
	want := fmt.Sprintf(hook, shellQuote(o.Program))
	old, err := os.ReadFile(file)
	switch {
	case err == nil && string(old) == want:
		return "", nil
	case err == nil && !isOurHook(old):
		return "", hinted{file + " is there already", "add a line to it: nbhush git check || exit", nil}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // as git makes it
		return "", err
	}
	return file, savefile.Write(file, []byte(want), 0o755)
}

// uninstallHook removes the hook if it is the one that InstallHook wrote.
func uninstallHook(ctx context.Context, o Options) (string, error) {
	file, err := hookFile(ctx, o)
	if err != nil {
		return "", err
	}
	if old, err := os.ReadFile(file); err != nil || !isOurHook(old) {
		return "", nil //nolint:nilerr // no hook, or somebody else's
	}
	return file, os.Remove(file)
}

// isOurHook reports whether InstallHook wrote it, with whatever program.
func isOurHook(text []byte) bool {
	var program string
	n, _ := fmt.Sscanf(string(text), "#!/bin/sh\n# nbhush: nbhush git uninstall removes this file\nexec %s", &program)
	return n == 1
}
