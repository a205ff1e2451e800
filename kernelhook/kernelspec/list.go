package kernelspec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	maxSpec    = 1 << 20 // bytes of a kernel.json
	maxListing = 8 << 20 // bytes of what Jupyter prints
	listWithin = time.Minute
)

// Spec is one kernel spec, as Jupyter finds it.
type Spec struct {
	Name     string `json:"name"`
	Display  string `json:"display_name,omitempty"`
	Language string `json:"language,omitempty"`
	Dir      string `json:"dir"`            // its resource folder
	File     string `json:"file,omitempty"` // its kernel.json; "" where none backs it (ipykernel's own spec)
	// Binary is the nbhush that its argv starts, "" where it is not wrapped;
	// Gone says that this program is not there, so that the kernel cannot start.
	Binary string `json:"binary,omitempty"`
	Gone   bool   `json:"gone,omitempty"`
	// Provisioner is the kernel provisioner that the spec names itself, "" for the default one.
	Provisioner string `json:"provisioner,omitempty"`
	// Problem is why the spec cannot be wrapped, or, where its provisioner is
	// the reason, why it is wrapped only by its name.
	Problem string `json:"problem,omitempty"`

	raw []byte // the spec in JSON, where there is no file
}

// foreign reports whether a kernel provisioner other than Jupyter's own starts the
// kernel. Nobody knows whether it does so on this machine but who uses it.
func (s Spec) foreign() bool { return s.Provisioner != "" && s.Provisioner != "local-provisioner" }

// Wrapped reports whether the spec starts nbhush.
func (s Spec) Wrapped() bool { return s.Binary != "" }

// Kernels are the kernel specs of one Jupyter. The fields are not changed.
type Kernels struct {
	Jupyter string // path of its jupyter or python; "" for what is on PATH
	Dirs    Dirs
	Binary  string // absolute path of nbhush, as kernel specs will name it
	Record  string // file that remembers which folders Enable changed

	// Env is the environment that Jupyter is asked in; nil is this process's own.
	Env []string
}

// List asks Jupyter for its kernel specs, in the order of their names. Where no
// Jupyter can be asked, and none was named, it looks into the folders that
// every Jupyter of this user searches.
func (k Kernels) List(ctx context.Context) ([]Spec, error) {
	ctx, cancel := context.WithTimeout(ctx, listWithin)
	defer cancel()
	listing, err := k.ask(ctx)
	var specs []Spec
	switch {
	case err == nil:
		for name, l := range listing.Kernelspecs {
			specs = append(specs, newSpec(name, l.Dir, l.Spec))
		}
	case k.Jupyter != "" || ctx.Err() != nil:
		return nil, err
	default:
		if specs = k.search(); len(specs) == 0 {
			return nil, err
		}
	}
	slices.SortFunc(specs, func(a, b Spec) int { return strings.Compare(a.Name, b.Name) })
	return specs, nil
}

// listing is what jupyter kernelspec list --json prints.
type listing struct {
	Kernelspecs map[string]struct {
		Dir  string          `json:"resource_dir"`
		Spec json.RawMessage `json:"spec"`
	} `json:"kernelspecs"`
}

func (k Kernels) ask(ctx context.Context) (listing, error) {
	commands := [][]string{
		{"jupyter", "kernelspec"},
		{"python3", "-m", "jupyter_client.kernelspecapp"},
		{"python", "-m", "jupyter_client.kernelspecapp"},
	}
	if k.Jupyter != "" {
		commands = [][]string{{k.Jupyter, "kernelspec"}}
		if isPython(k.Jupyter) {
			commands = [][]string{{k.Jupyter, "-m", "jupyter_client.kernelspecapp"}}
		}
	}
	var first error
	for _, argv := range commands {
		l, err := list(ctx, append(argv, "list", "--json"), k.Env)
		if err == nil {
			return l, nil
		}
		if first == nil || errors.Is(first, exec.ErrNotFound) {
			first = err
		}
	}
	return listing{}, &hintError{"no Jupyter answers: " + first.Error(), "name its jupyter or its python with --jupyter PATH"}
}

func isPython(path string) bool {
	base := strings.ToLower(filepath.Base(path))
	return strings.HasPrefix(base, "python") || strings.HasPrefix(base, "pypy")
}

func list(ctx context.Context, argv, env []string) (listing, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay, cmd.Env = time.Second, env
	var words bytes.Buffer
	cmd.Stderr = &capped{w: &words, left: 4 << 10}
	out := &capped{w: new(bytes.Buffer), left: maxListing}
	cmd.Stdout = out
	if err := cmd.Run(); err != nil {
		if last := lastLine(words.String()); last != "" {
			return listing{}, fmt.Errorf("%s: %w: %s", argv[0], err, last)
		}
		return listing{}, fmt.Errorf("%s: %w", argv[0], err)
	}
	var l listing
	if err := json.Unmarshal(out.w.Bytes(), &l); err != nil {
		return listing{}, fmt.Errorf("%s: read its list of kernels: %w", argv[0], err)
	}
	return l, nil
}

// capped keeps the first left bytes that are written to it and drops the rest,
// so that a program that prints for ever fills no memory.
type capped struct {
	w    *bytes.Buffer
	left int
}

func (c *capped) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.w.Write(p[:n])
	c.left -= n
	return len(p), nil
}

var _ io.Writer = (*capped)(nil)

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}

// search finds kernel specs by the rules of jupyter_path, less the folder of
// the environment, which only a Jupyter knows.
func (k Kernels) search() []Spec {
	var specs []Spec
	seen := map[string]bool{}
	for _, data := range slices.Concat(k.Dirs.extraData, []string{k.Dirs.Data}, k.Dirs.systemData) {
		entries, _ := os.ReadDir(filepath.Join(data, "kernels"))
		for _, e := range entries {
			name := strings.ToLower(e.Name())
			dir := filepath.Join(data, "kernels", e.Name())
			if _, err := os.Stat(filepath.Join(dir, "kernel.json")); err != nil || seen[name] {
				continue
			}
			seen[name] = true
			specs = append(specs, newSpec(name, dir, nil))
		}
	}
	return specs
}

// newSpec reads the kernel.json in dir; raw is what Jupyter says of a spec
// without one.
func newSpec(name, dir string, raw []byte) Spec {
	s := Spec{Name: name, Dir: dir, File: filepath.Join(dir, "kernel.json")}
	src, err := readFile(s.File, maxSpec)
	if errors.Is(err, fs.ErrNotExist) && len(raw) > 0 {
		s.File, s.raw = "", raw
		src, err = raw, nil
	}
	if err != nil {
		s.Problem = err.Error()
		return s
	}
	f, err := parse(src)
	if err != nil {
		s.Problem = fmt.Sprintf("its kernel.json: %v", err)
		return s
	}
	s.Display, s.Language, s.Provisioner = f.display, f.language, f.provisioner
	if s.Binary = f.binary(); s.Binary != "" {
		s.Gone = filepath.IsAbs(s.Binary) && !runs(s.Binary)
		return s
	}
	switch {
	case isNbhush(f.argv[0]):
		s.Problem = "its argv begins with nbhush in a way of its own"
	case s.foreign():
		s.Problem = fmt.Sprintf("it is started by the kernel provisioner %q, which may start it on another machine", s.Provisioner)
	}
	return s
}
