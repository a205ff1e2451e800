package gitfilter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/nbhush/nbhush/agent/savefile"
)

// Install makes git send notebooks through the filter. It returns the files
// that it changed, none if all was as it should be. What stood in the files stays.
func Install(ctx context.Context, o Options) ([]string, error) {
	p, err := find(ctx, o)
	if err != nil {
		return nil, err
	}
	if !o.Force {
		if err := checkOthers(p); err != nil {
			return nil, err
		}
	}
	var changed []string
	// What an earlier install, or the project's own attributes in a clone, chose stays chosen.
	o.Diff = o.Diff || blockHas(p.attributes[0], "diff=nbhush")
	o.Restore = o.Restore || blockHas(p.config[0], "--restore")
	had := holder(p.attributes[:1]) != ""
	lines := attributes
	if o.Diff {
		lines = attributesDiff
	}
	// The attributes come last: without the section they do nothing.
	for _, f := range []struct {
		path, lines string
		had         bool
	}{
		{p.config[0], configBlock(o), had},
		{p.attributes[0], lines, false},
	} {
		did, err := edit(f.path, func(old []byte, fresh note) ([]byte, note, error) {
			fresh.hadAttributes = f.had
			out, err := withBlock(old, f.lines, fresh)
			return out, note{}, err
		})
		if err != nil {
			return changed, err
		}
		if did {
			changed = append(changed, f.path)
		}
	}
	return changed, nil
}

// checkOthers refuses to take notebooks over from another filter in the same file.
func checkOthers(p places) error {
	for _, other := range scanAttributes(p.attributes[0]) {
		if other.Attribute == "filter" && other.Value != "nbhush" {
			return hinted{
				fmt.Sprintf("%s: line %d sends notebooks through the filter %q; git runs one filter only", other.File, other.Line, other.Value),
				"take that line out, or let nbhush go before it with --force", nil,
			}
		}
	}
	return nil
}

// Uninstall takes out what Install put in, and leaves every file as it was
// before. It returns the files that it changed.
func Uninstall(ctx context.Context, o Options) ([]string, error) {
	p, err := find(ctx, o)
	if err != nil {
		return nil, err
	}
	var changed []string
	files := append(slices.Clone(p.attributes), p.config...)
	if hadAttributes(p.config) {
		files = p.config
	}
	for _, path := range files {
		did, err := edit(path, func(old []byte, _ note) ([]byte, note, error) {
			out, n, _, err := withoutBlock(old)
			return out, n, err
		})
		if err != nil {
			return changed, err
		}
		if did {
			changed = append(changed, path)
		}
	}
	if o.Global {
		return changed, nil
	}
	file, err := uninstallHook(ctx, o)
	if file != "" {
		changed = append(changed, file)
	}
	return changed, err
}

// blockHas reports whether text stands in the block of the file.
func blockHas(file, text string) bool {
	b, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	start, end, _, err := findBlock(b)
	return err == nil && start >= 0 && bytes.Contains(b[start:end], []byte(text))
}

// hadAttributes reports whether a block in one of the files notes that.
func hadAttributes(config []string) bool {
	for _, file := range config {
		if b, err := os.ReadFile(file); err == nil {
			if start, _, n, err := findBlock(b); err == nil && start >= 0 {
				return n.hadAttributes
			}
		}
	}
	return false
}

// edit replaces the file at path by what change makes of it, under the lock
// that git takes for its configuration. A file that was made by Install and is
// empty again goes, with the folders made for it.
func edit(path string, change func(old []byte, fresh note) ([]byte, note, error)) (changed bool, err error) {
	old, fresh, err := readOrFresh(path)
	if err != nil {
		return false, err
	}
	out, undo, err := change(old, fresh)
	if err != nil {
		return false, hinted{fmt.Sprintf("%s: %v", path, err), "take the lines of nbhush out in an editor, then try again", err}
	}
	if bytes.Equal(old, out) {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return false, err
	}
	unlock, err := lock(path)
	if err != nil {
		return false, err
	}
	defer unlock()
	// Once more, now that nobody else writes.
	if now, _, err := readOrFresh(path); err != nil || !bytes.Equal(now, old) {
		return false, errors.Join(fmt.Errorf("%s: %w", path, savefile.ErrChanged), err)
	}
	if undo.newFile && len(out) == 0 {
		if err := os.Remove(path); err != nil {
			return false, err
		}
		unlock()
		dir := filepath.Dir(path)
		for range undo.newFolders {
			if os.Remove(dir) != nil { // not empty: somebody else uses it by now
				break
			}
			dir = filepath.Dir(dir)
		}
		return true, nil
	}
	if err := savefile.Write(path, out, 0o644); err != nil {
		return false, hinted{fmt.Sprintf("write %s: %v", path, err), "make the file writable, or add the lines where it is generated from", err}
	}
	return true, nil
}

func readOrFresh(path string) ([]byte, note, error) {
	b, err := os.ReadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, note{}, err
	}
	n := note{newFile: true}
	for dir := filepath.Dir(path); !exists(dir) && n.newFolders < 16; dir = filepath.Dir(dir) {
		n.newFolders++
	}
	return nil, n, nil
}

// lock takes path.lock as git does, so that a git config at the same time does
// not lose either change. The returned function may be called twice.
func lock(path string) (unlock func(), err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, hinted{path + " is being written by another program", "try again; if no git command runs, remove " + name, err}
	}
	if err != nil {
		return nil, err
	}
	_ = f.Close()
	done := false
	return func() {
		if !done {
			_ = os.Remove(name)
			done = true
		}
	}, nil
}
