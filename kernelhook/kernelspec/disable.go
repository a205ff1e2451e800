package kernelspec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nbhush/nbhush/agent/savefile"
)

// Disable takes nbhush out of the specs called names, or of every one that an
// Enable of any Jupyter changed. A spec that somebody else wrote again since then
// is left as it is; one that they edited keeps their edits.
func (k Kernels) Disable(ctx context.Context, names []string) ([]Outcome, error) {
	unlock, err := k.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	specs, err := k.List(ctx)
	if err != nil && len(names) > 0 {
		return nil, err
	}
	recorded, recErr := k.recorded()
	if recErr != nil {
		return nil, recErr
	}
	if len(names) > 0 {
		if specs, err = choose(specs, names); err != nil {
			return nil, err
		}
	} else {
		for _, dir := range recorded {
			if !slices.ContainsFunc(specs, func(s Spec) bool { return s.Dir == dir }) {
				specs = append(specs, Spec{Name: strings.ToLower(filepath.Base(dir)), Dir: dir, File: filepath.Join(dir, "kernel.json")})
			}
		}
	}
	var all []Outcome
	for _, s := range specs {
		if s.File == "" {
			continue
		}
		o, err := k.disable(s.Name, s.File)
		if denied(err) {
			o.Did, o.Why, err = DidSkip, err.Error(), nil
		}
		if err != nil {
			return all, fmt.Errorf("kernel spec %s: %w", s.Name, err)
		}
		if o.Did != DidNothing || len(names) > 0 {
			all = append(all, o)
		}
	}
	return all, nil
}

// lock keeps others who change specs out until unlock is called.
func (k Kernels) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(k.Record), 0o700); err != nil {
		return nil, err
	}
	if unlock, err = savefile.Lock(ctx, k.Record, lockTime); err != nil {
		return nil, fmt.Errorf("another nbhush changes kernel specs: %w", err)
	}
	return unlock, nil
}

// lockTime is enough for a Jupyter that takes seconds to list its specs.
const lockTime = 30 * time.Second

func (k Kernels) disable(name, file string) (Outcome, error) {
	o := Outcome{Name: name, File: file, Did: DidNothing}
	src, err := readFile(file, maxSpec)
	gone := errors.Is(err, fs.ErrNotExist)
	if err != nil && !gone {
		return o, err
	}
	notes := kept(file)
	i := slices.IndexFunc(notes, func(n string) bool { return strings.HasSuffix(n, "-"+sum(src)) })
	switch f, err := parse(src); {
	case i >= 0:
		if o.Did, err = putBack(file, notes[i]); err != nil {
			return o, err
		}
	case err == nil && f.binary() != "":
		o.Did, o.Why = DidUnwrap, "it was edited since nbhush kernels enable, and the edits stay"
		if err := savefile.Write(file, f.unwrap(), 0o644); err != nil {
			return o, err
		}
	case !gone && len(notes) > 0 && !holds(notes, src):
		o.Why = "it was written again since nbhush kernels enable"
	}
	if err := k.forgetKept(file, ""); err != nil {
		return o, err
	}
	if gone {
		_ = os.Remove(filepath.Dir(file)) // only if nothing else is in it
	}
	return o, k.forget(filepath.Dir(file))
}

// putBack undoes the Enable that wrote note.
func putBack(file, note string) (did string, err error) {
	if strings.HasPrefix(note, file+madeSuffix) {
		return DidRemove, removeMade(file, note)
	}
	original, err := readFile(note, maxSpec)
	if err != nil {
		return DidNothing, err
	}
	return DidRestore, savefile.Write(file, original, 0o644)
}

// holds reports whether one of the notes has src as its content: then an Enable or
// a Disable was ended half-way, and kernel.json is the original.
func holds(notes []string, src []byte) bool {
	return slices.ContainsFunc(notes, func(n string) bool {
		b, err := readFile(n, maxSpec)
		return err == nil && bytes.Equal(b, src)
	})
}

// removeMade removes a spec that Enable made, less what somebody put there or
// changed since.
func removeMade(file, note string) error {
	dir := filepath.Dir(file)
	b, err := readFile(note, maxSpec)
	if err != nil {
		return err
	}
	var m made
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("read %s: %w", note, err)
	}
	if err := os.Remove(file); err != nil { // first: from here on, Jupyter does not see it
		return err
	}
	for name, want := range m.Files {
		if !filepath.IsLocal(name) || filepath.Base(name) != name {
			continue
		}
		path := filepath.Join(dir, name)
		if b, err := readFile(path, maxSpec); err == nil && sum(b) == want {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(note); err != nil {
		return err
	}
	_ = os.Remove(dir) // only if nothing else is in it
	return nil
}

// recorded are the folders that Enable changed, of whichever Jupyter.
func (k Kernels) recorded() ([]string, error) {
	b, err := readFile(k.Record, maxSpec)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var dirs []string
	if err := json.Unmarshal(b, &dirs); err != nil {
		return nil, fmt.Errorf("read %s: %w", k.Record, err)
	}
	return dirs, nil
}

func (k Kernels) remember(dir string) error {
	dirs, err := k.recorded()
	if err != nil || slices.Contains(dirs, dir) {
		return err
	}
	return k.record(append(dirs, dir))
}

func (k Kernels) forget(dir string) error {
	dirs, err := k.recorded()
	if err != nil || !slices.Contains(dirs, dir) {
		return err
	}
	return k.record(slices.DeleteFunc(dirs, func(d string) bool { return d == dir }))
}

func (k Kernels) record(dirs []string) error {
	if len(dirs) == 0 {
		return os.Remove(k.Record)
	}
	b, err := json.MarshalIndent(dirs, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(k.Record), 0o700); err != nil {
		return err
	}
	return savefile.Write(k.Record, append(b, '\n'), 0o600)
}
