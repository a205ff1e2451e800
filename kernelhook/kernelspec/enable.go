package kernelspec

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/nbhush/nbhush/agent/savefile"
)

// What Enable and Disable do to a spec.
const (
	DidWrap    = "wrapped"   // kernel.json changed in its place
	DidShadow  = "shadowed"  // a spec of the same name was made where Jupyter looks first
	DidRestore = "restored"  // kernel.json is the original again
	DidRemove  = "removed"   // the spec that Enable had made is gone
	DidUnwrap  = "unwrapped" // nbhush is out of a kernel.json that somebody edited since
	DidNothing = "unchanged"
	DidSkip    = "skipped" // Why says the reason
)

// Outcome is what happened to one spec.
type Outcome struct {
	Name string `json:"name"`
	File string `json:"file,omitempty"`
	Did  string `json:"did"`
	Why  string `json:"why,omitempty"`
}

// A file beside kernel.json remembers what Enable did. The original is kept in
// kernel.json.nbhush-SUM; a spec that Enable made has kernel.json.nbhush-made-SUM.
// SUM is of the wrapped kernel.json, so that a later change of it shows.
const (
	keptSuffix = ".nbhush-"
	madeSuffix = ".nbhush-made-"
)

// made is the content of the file of a spec that Enable made.
type made struct {
	Shadows string            `json:"shadows"` // folder of the spec that it hides
	Files   map[string]string `json:"files"`   // what was copied from there, by its sum
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:8])
}

// Enable wraps the specs called names, or every spec that Jupyter lists. What
// cannot be wrapped is skipped and says why, and so is a spec with a provisioner
// of its own, which it keeps, unless it is named. A second call changes nothing.
func (k Kernels) Enable(ctx context.Context, names []string) ([]Outcome, error) {
	if !filepath.IsAbs(k.Binary) {
		return nil, fmt.Errorf("%s is not an absolute path", k.Binary)
	}
	unlock, err := k.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	specs, err := k.List(ctx)
	if err != nil {
		return nil, err
	}
	if specs, err = choose(specs, names); err != nil {
		return nil, err
	}
	var all []Outcome
	for _, s := range specs {
		if len(names) > 0 && s.foreign() {
			s.Problem = ""
		}
		o, err := k.enable(s)
		if denied(err) {
			o, err = Outcome{Name: s.Name, File: s.File, Did: DidSkip, Why: err.Error()}, nil
		}
		if err != nil {
			return all, fmt.Errorf("kernel spec %s: %w", s.Name, err)
		}
		all = append(all, o)
	}
	return k.seen(ctx, all)
}

// choose returns the specs called names, or all.
func choose(specs []Spec, names []string) ([]Spec, error) {
	if len(names) == 0 {
		return specs, nil
	}
	var chosen []Spec
	for _, name := range names {
		i := slices.IndexFunc(specs, func(s Spec) bool { return strings.EqualFold(s.Name, name) })
		if i < 0 {
			return nil, &hintError{fmt.Sprintf("Jupyter has no kernel spec %q", name), "see what there is: nbhush kernels list"}
		}
		chosen = append(chosen, specs[i])
	}
	return chosen, nil
}

func (k Kernels) enable(s Spec) (Outcome, error) {
	o := Outcome{Name: s.Name, File: s.File, Did: DidNothing}
	switch {
	case s.Problem != "":
		o.Did, o.Why = DidSkip, s.Problem
		return o, nil
	case s.Wrapped():
		changed, err := k.renew(s)
		if changed {
			o.Did = DidWrap
		}
		return o, err
	case s.File == "":
		return k.fileless(s)
	}
	src, err := readFile(s.File, maxSpec)
	if err != nil {
		return o, err
	}
	w := wrapping{binary: k.Binary, name: s.Name}
	if owned(s.File) && !k.Dirs.shared(s.File) { // others could not start this user's nbhush
		out, err := k.wrap(s, src, w)
		if err != nil {
			o.Did, o.Why = DidSkip, err.Error()
			return o, nil
		}
		err = k.inPlace(s, src, out)
		if !denied(err) {
			o.Did = DidWrap
			return o, err
		}
	}
	if to := k.Dirs.userSpec(s.Name); to != s.Dir {
		w.dir = s.Dir
		return k.shadow(s, src, w, to)
	}
	o.Did, o.Why = DidSkip, s.Dir+" is not writable"
	return o, nil
}

// wrap returns the kernel.json of s, which is src, with nbhush before its argv.
func (k Kernels) wrap(s Spec, src []byte, w wrapping) ([]byte, error) {
	f, err := parse(src)
	if err != nil {
		return nil, err
	}
	if f.needsPython() {
		if w.python = k.python(s.Dir, f.argv[0]); w.python == "" {
			return nil, fmt.Errorf("its argv begins with %q, which stands for Jupyter's own Python, and none is found", f.argv[0])
		}
	}
	out, err := f.wrap(w)
	if err != nil {
		return nil, err
	}
	if _, err := parse(out); err != nil { // never write what Jupyter could not read
		return nil, err
	}
	return out, nil
}

// denied reports whether err is that the user may not write there.
func denied(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// inPlace keeps the original, then writes the wrapped spec, then removes what an
// earlier Enable kept. Whenever it is ended, Disable knows which is which.
func (k Kernels) inPlace(s Spec, src, out []byte) error {
	if err := k.remember(s.Dir); err != nil {
		return err
	}
	keep := s.File + keptSuffix + sum(out)
	if err := savefile.Write(keep, src, mode(s.File)); err != nil {
		return err
	}
	if err := savefile.Write(s.File, out, 0o644); err != nil {
		_ = os.Remove(keep)
		return err
	}
	return k.forgetKept(s.File, keep)
}

func mode(path string) fs.FileMode {
	if st, err := os.Stat(path); err == nil {
		return st.Mode().Perm()
	}
	return 0o644
}

// kept are the files beside kernel.json that an Enable wrote.
func kept(file string) []string {
	entries, _ := os.ReadDir(filepath.Dir(file))
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(file)+keptSuffix) {
			names = append(names, filepath.Join(filepath.Dir(file), e.Name()))
		}
	}
	return names
}

// forgetKept removes the files that an earlier Enable kept beside file, except one.
func (k Kernels) forgetKept(file, except string) error {
	for _, name := range kept(file) {
		if name == except {
			continue
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// renew makes a wrapped spec start this nbhush instead of another one, and say what
// an earlier release did not have it say.
func (k Kernels) renew(s Spec) (changed bool, err error) {
	src, err := readFile(s.File, maxSpec)
	if err != nil {
		return false, err
	}
	f, err := parse(src)
	if err != nil {
		return false, err
	}
	out, err := f.renew(k.Binary, s.Name)
	if err != nil || bytes.Equal(src, out) {
		return false, err
	}
	was, is := sum(src), sum(out)
	for _, name := range kept(s.File) {
		to, ok := strings.CutSuffix(name, was)
		if !ok {
			continue
		}
		original, err := readFile(name, maxSpec)
		if err != nil {
			return true, err
		}
		if err := savefile.Write(to+is, original, mode(name)); err != nil {
			return true, err
		}
	}
	if err := savefile.Write(s.File, out, 0o644); err != nil {
		return true, err
	}
	for _, name := range kept(s.File) {
		if strings.HasSuffix(name, was) {
			if err := os.Remove(name); err != nil {
				return true, err
			}
		}
	}
	return true, k.remember(s.Dir)
}

// fileless writes the spec that only Jupyter's code knows (ipykernel's python3)
// into the environment that it is of, where no other Jupyter takes it for its
// own, or else into the user's folder.
func (k Kernels) fileless(s Spec) (Outcome, error) {
	f, err := parse(s.raw)
	if err != nil {
		return Outcome{Name: s.Name, Did: DidSkip, Why: err.Error()}, nil
	}
	src := jsontext.Value(bytes.Clone(s.raw))
	if err := src.Indent(jsontext.WithIndent(" ")); err != nil {
		return Outcome{}, err
	}
	src = append(src, '\n')
	w := wrapping{binary: k.Binary, name: s.Name, dir: s.Dir}
	if filepath.IsAbs(f.argv[0]) {
		prefix := filepath.Dir(filepath.Dir(f.argv[0]))
		to := filepath.Join(prefix, "share", "jupyter", "kernels", s.Name)
		if !k.Dirs.shared(to) {
			if o, err := k.shadow(s, src, w, to); !denied(err) {
				return o, err
			}
		}
	}
	return k.shadow(s, src, w, k.Dirs.userSpec(s.Name))
}

// shadow makes a wrapped spec in the folder to, with what else is in the
// folder of s, such as its logos.
func (k Kernels) shadow(s Spec, src []byte, w wrapping, to string) (Outcome, error) {
	o := Outcome{Name: s.Name, File: filepath.Join(to, "kernel.json"), Did: DidShadow}
	out, err := k.wrap(s, src, w)
	if err != nil {
		o.Did, o.Why, o.File = DidSkip, err.Error(), s.File
		return o, nil
	}
	if !free(to) {
		o.Did, o.Why = DidSkip, to+" is in the way: it is there already, and Jupyter does not use it"
		return o, nil
	}
	if err := k.remember(to); err != nil {
		return o, err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // as Jupyter makes it
		return o, err
	}
	if err := os.Mkdir(to, 0o700); err != nil { // other users go on without this spec
		return o, err
	}
	if err := fill(s.Dir, o.File, out); err != nil {
		_ = os.RemoveAll(to) // it did not exist before
		return o, err
	}
	return o, nil
}

// free reports whether the folder is free for a made spec. What an Enable left
// there that was ended half-way, a note but no kernel.json, is removed.
func free(dir string) bool {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return true
	}
	file := filepath.Join(dir, "kernel.json")
	_, err := os.Lstat(file)
	ours := slices.ContainsFunc(kept(file), func(n string) bool { return strings.HasPrefix(n, file+madeSuffix) })
	return errors.Is(err, fs.ErrNotExist) && ours && os.RemoveAll(dir) == nil
}

// fill writes the note, the resources of the spec in the folder from, and last
// the kernel.json, from which on Jupyter sees the spec.
func fill(from, file string, out []byte) error {
	m := made{Shadows: from, Files: map[string]string{}}
	resources, err := resourcesOf(from)
	if err != nil {
		return err
	}
	for name, b := range resources {
		m.Files[name] = sum(b)
	}
	note, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	if err := savefile.Write(file+madeSuffix+sum(out), note, 0o644); err != nil {
		return err
	}
	for name, b := range resources {
		if err := savefile.Write(filepath.Join(filepath.Dir(file), name), b, 0o644); err != nil {
			return err
		}
	}
	return savefile.Write(file, out, 0o644)
}

// resourcesOf reads what a spec's folder holds beside the kernel.json: logos,
// kernel.js. Folders and what is larger than any of these stay out.
func resourcesOf(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	files := map[string][]byte{}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		st, err := os.Stat(path)
		if err != nil || !st.Mode().IsRegular() || st.Size() > maxSpec || strings.HasPrefix(e.Name(), "kernel.json") {
			continue
		}
		if files[e.Name()], err = readFile(path, maxSpec); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// seen takes back the specs that Enable made where Jupyter does not look first.
func (k Kernels) seen(ctx context.Context, all []Outcome) ([]Outcome, error) {
	if !slices.ContainsFunc(all, func(o Outcome) bool { return o.Did == DidShadow }) {
		return all, nil
	}
	specs, err := k.List(ctx)
	if err != nil {
		return all, err
	}
	for i, o := range all {
		if o.Did != DidShadow || slices.ContainsFunc(specs, func(s Spec) bool { return sameFile(s.File, o.File) }) {
			continue
		}
		if _, err := k.disable(o.Name, o.File); err != nil {
			return all, err
		}
		all[i].Did = DidSkip
		all[i].Why = "its folder is not writable, and Jupyter prefers it to " + filepath.Dir(o.File) + " (JUPYTER_PREFER_ENV_PATH)"
	}
	return all, nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
