package kernelspec

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// file is a kernel.json, read as far as wrapping needs it. The format is that
// of jupyter_client's docs/kernels.rst, "Kernel specs".
type file struct {
	src      []byte
	top      []member
	argv     []string
	places   [][2]int // of argv's strings in src
	display  string
	language string
	env      []member
	metadata []member
	// provisioner is the name in metadata.kernel_provisioner, "" if there is none.
	provisioner string
}

// own is the argv that wrap puts before a kernel's, less the binary.
var own = []string{"kernel", "-f", "{connection_file}", "--"}

// parse reads a kernel.json. An error says what Jupyter, or we, cannot read.
func parse(src []byte) (*file, error) {
	src = bytes.Clone(src)
	if err := whole(src); err != nil {
		return nil, err
	}
	f := &file{src: src}
	var err error
	if f.top, err = members(src, 0, len(src)); err != nil {
		return nil, err
	}
	m, ok := find(f.top, "argv")
	if !ok {
		return nil, errors.New("there is no argv")
	}
	if f.places, f.argv, err = elements(src, m.value, m.end); err != nil {
		return nil, fmt.Errorf("argv: %w", err)
	}
	if len(f.argv) == 0 {
		return nil, errors.New("argv is empty")
	}
	f.display, f.language = f.text(f.top, "display_name"), f.text(f.top, "language")
	if m, ok := find(f.top, "env"); ok {
		if f.env, err = members(src, m.value, m.end); err != nil {
			return nil, fmt.Errorf("env: %w", err)
		}
	}
	if m, ok := find(f.top, "metadata"); ok {
		if f.metadata, err = members(src, m.value, m.end); err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
	}
	if m, ok := find(f.metadata, "kernel_provisioner"); ok {
		inner, err := members(src, m.value, m.end)
		if err != nil {
			return nil, fmt.Errorf("kernel_provisioner: %w", err)
		}
		f.provisioner = f.text(inner, "provisioner_name")
	}
	return f, nil
}

// whole refuses what is not one JSON object and nothing behind it.
func whole(src []byte) error {
	dec := jsontext.NewDecoder(bytes.NewReader(src))
	if dec.PeekKind() != '{' {
		return errors.New("not a JSON object")
	}
	if err := dec.SkipValue(); err != nil {
		return err
	}
	if rest := bytes.TrimLeft(src[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return fmt.Errorf("there is more behind the JSON object, at byte %d", len(src)-len(rest))
	}
	return nil
}

func (f *file) text(all []member, name string) string {
	m, ok := find(all, name)
	if !ok {
		return ""
	}
	s, err := unquote(f.src[m.value:m.end])
	if err != nil {
		return ""
	}
	return s
}

// binary is the nbhush that a wrapped spec starts, "" if the spec is not wrapped.
func (f *file) binary() string {
	if !isNbhush(f.argv[0]) || len(f.argv) <= 1+len(own) {
		return ""
	}
	for i, want := range own {
		if f.argv[1+i] != want {
			return ""
		}
	}
	return f.argv[0]
}

func isNbhush(program string) bool {
	base := program[strings.LastIndexAny(program, `/\`)+1:]
	return strings.EqualFold(strings.TrimSuffix(strings.ToLower(base), ".exe"), "nbhush")
}

// wrapping says how to wrap one spec.
type wrapping struct {
	binary string // of nbhush
	name   string // of the spec
	python string // for an argv[0] that Jupyter would replace by its own Python
	dir    string // for {resource_dir}, where the wrapped spec lies elsewhere than its resources; else ""
}

// What a wrapped spec says of itself in its env, as the provisioner says it: nbhush
// heeds these in its rules and hands them on to nobody. They also keep VS Code from hiding
// the spec: it takes one of a usual Python name without any env for the
// interpreter that it lists itself.
const (
	envSpec     = "NBHUSH_KERNEL_SPEC"
	envLanguage = "NBHUSH_KERNEL_LANGUAGE"
	envMark     = "NBHUSH_SPEC" // what earlier releases wrote for VS Code
)

var usualPython = expression(`^python(\d+(\.\d+)?)?$`)

// needsPython reports whether argv[0] is a name that Jupyter replaces by the
// path of its own Python, but only in this place of argv (format_kernel_cmd in
// jupyter_client's manager.py): behind nbhush it has to be a path.
func (f *file) needsPython() bool { return usualPython().MatchString(f.argv[0]) }

// wrap returns the kernel.json with nbhush before its argv. What is not said
// below stays as it was, byte for byte:
//
//   - argv gets nbhush's words in front, a "python" that Jupyter would have
//     replaced becomes its path, and {resource_dir} the folder w.dir, if any;
//   - env says the name of the spec and its language.
func (f *file) wrap(w wrapping) ([]byte, error) {
	if f.binary() != "" || isNbhush(f.argv[0]) {
		return nil, errors.New("argv begins with nbhush already")
	}
	edits, err := f.wrapArgv(w)
	if err != nil {
		return nil, err
	}
	said, err := f.say(w.name)
	if err != nil {
		return nil, err
	}
	return splice(f.src, append(edits, said...)), nil
}

func (f *file) wrapArgv(w wrapping) ([]edit, error) {
	var edits []edit
	for i, arg := range f.argv {
		to := arg
		if i == 0 && f.needsPython() {
			to = w.python
		}
		if w.dir != "" {
			to = strings.ReplaceAll(to, "{resource_dir}", w.dir)
		}
		if to == arg {
			continue
		}
		q, err := quote(to)
		if err != nil {
			return nil, err
		}
		edits = append(edits, edit{f.places[i][0], f.places[i][1], q})
	}
	m, _ := find(f.top, "argv")
	first := f.places[0][0]
	between := "," + string(f.src[m.value+1:first])
	words := ""
	for _, arg := range append([]string{w.binary}, own...) {
		q, err := quote(arg)
		if err != nil {
			return nil, fmt.Errorf("the path of nbhush: %w", err)
		}
		words += q + between
	}
	return append([]edit{{first, first, words}}, edits...), nil
}

// say returns the edits after which env says what the spec is, none if it does.
func (f *file) say(name string) ([]edit, error) {
	var edits []edit
	var missing []string
	for _, kv := range [][2]string{{envSpec, name}, {envLanguage, f.language}} {
		q, err := quote(kv[1])
		if err != nil {
			return nil, err
		}
		m, ok := find(f.env, kv[0])
		switch {
		case !ok:
			missing = append(missing, `"`+kv[0]+`": `+q)
		case f.text(f.env, kv[0]) != kv[1]: // the spec was copied
			edits = append(edits, edit{m.value, m.end, q})
		}
	}
	if len(missing) == 0 {
		return edits, nil
	}
	all := strings.Join(missing, ", ")
	m, ok := find(f.top, "env")
	switch {
	case len(f.env) > 0:
		first := f.env[0].start
		return append(edits, edit{first, first, all + "," + string(f.src[m.value+1:first])}), nil
	case ok:
		return append(edits, edit{m.value, m.end, "{" + all + "}"}), nil
	}
	m, _ = find(f.top, "argv")
	before := f.src[:f.top[0].start]
	gap := string(before[bytes.IndexByte(before, '{')+1:])
	return append(edits, edit{m.start, m.start, `"env": {` + all + "}," + gap}), nil
}

// renew returns a wrapped kernel.json, which somebody may have edited since, as this release
// wraps it: with this binary, and saying that it is the spec called name.
func (f *file) renew(binary, name string) ([]byte, error) {
	q, err := quote(binary)
	if err != nil {
		return nil, err
	}
	edits, err := f.say(name)
	if err != nil {
		return nil, err
	}
	if f.argv[0] != binary {
		edits = append(edits, edit{f.places[0][0], f.places[0][1], q})
	}
	return splice(f.src, edits), nil
}

// unwrap takes nbhush's words out of a wrapped kernel.json that somebody edited
// since, so that the original beside it is no longer what they want. Their
// edits stay.
func (f *file) unwrap() []byte {
	edits := []edit{{f.places[0][0], f.places[1+len(own)][0], ""}}
	edits = append(edits, f.unsay()...)
	return splice(f.src, edits)
}

// unsay returns the edits that take out of env what nbhush wrote there, and env if
// nothing else is in it.
func (f *file) unsay() []edit {
	ours := func(m member) bool { return m.name == envSpec || m.name == envLanguage || m.name == envMark }
	if len(f.env) > 0 && !slices.ContainsFunc(f.env, func(m member) bool { return !ours(m) }) {
		return without(f.top, "env")
	}
	return without(f.env, envSpec, envLanguage, envMark)
}

// python returns the path of what argv[0] means to Jupyter, "" if it is not
// found: the interpreter of the environment that the spec in dir lies in
// (PREFIX/share/jupyter/kernels/NAME), else the one beside the jupyter that was asked.
func (k Kernels) python(dir, name string) string {
	prefix := filepath.Join(dir, "..", "..", "..", "..")
	asked := k.Jupyter
	if asked == "" {
		asked, _ = exec.LookPath("jupyter")
	}
	places := pythonPlaces(prefix, name)
	if asked != "" {
		places = append(places, pythonPlaces(filepath.Join(filepath.Dir(asked), ".."), name)...)
	}
	for _, p := range places {
		if filepath.IsAbs(p) && runs(p) {
			return p
		}
	}
	return ""
}
