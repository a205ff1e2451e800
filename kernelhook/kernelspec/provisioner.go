package kernelspec

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/nbhush/nbhush/agent/savefile"
)

//go:embed provisioner/nbhush_jupyter/*.py
var modules embed.FS

const (
	module    = "nbhush_jupyter"
	maxConfig = 8 << 20 // bytes of a configuration file
)

// Provisioner is the kernel provisioner in one user's Jupyter. The fields are
// not changed; a Provisioner is safe for concurrent use as far as the files are.
type Provisioner struct {
	Dirs    Dirs
	Folder  string // where the Python files go, on Jupyter's sys.path; home.Jupyter
	Binary  string // absolute path of nbhush, as Jupyter will start it
	Version string // of nbhush
}

// ProvisionerStatus is what is known of a Provisioner without starting Jupyter.
type ProvisionerStatus struct {
	Enabled bool   `json:"enabled"` // in Jupyter's configuration, and nothing is missing
	Config  string `json:"config"`  // jupyter_config.py, absolute
	Folder  string `json:"folder"`
	Binary  string `json:"binary,omitempty"`  // that kernels start with, from the installed files
	Version string `json:"version,omitempty"` // of the installed files
	Stale   bool   `json:"stale"`             // another version or another binary than this one
	// Problem is why kernels start without nbhush, Mend the command against it.
	Problem string `json:"problem,omitempty"`
	Mend    string `json:"hint,omitempty"`
	// Chosen are the places that name a default provisioner of their own: files, or
	// an environment variable. Where Jupyter reads one of them, it wins.
	Chosen []string `json:"chosen,omitempty"`
}

// Enable writes the Python files and the block in jupyter_config.py, in this
// order, so that the block never points at nothing. It reports whether
// anything changed; a second call changes nothing.
func (p Provisioner) Enable() (changed bool, err error) {
	if p.Dirs.NoConfig {
		return false, errNoConfig
	}
	if !filepath.IsAbs(p.Folder) || !filepath.IsAbs(p.Binary) {
		return false, fmt.Errorf("%s and %s have to be absolute paths", p.Folder, p.Binary)
	}
	file := p.Dirs.ConfigFile()
	src, err := readFile(file, maxConfig)
	added := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		added = addedFile
		if _, err := os.Stat(p.Dirs.Config); errors.Is(err, fs.ErrNotExist) {
			added = addedFolder
		}
	case err != nil:
		return false, err
	}
	out, err := setBlock(src, p.body(), added)
	if err != nil {
		return false, fmt.Errorf("%s: %w", file, err)
	}
	changed, err = p.writeFiles()
	if err != nil || bytes.Equal(src, out) {
		return changed, err
	}
	if err := os.MkdirAll(p.Dirs.Config, 0o700); err != nil {
		return changed, err
	}
	return true, savefile.Write(file, out, 0o600)
}

// Disable takes the block out of jupyter_config.py, to the byte, and then the
// Python files away. It reports whether anything changed.
func (p Provisioner) Disable() (changed bool, err error) {
	file := p.Dirs.ConfigFile()
	src, err := readFile(file, maxConfig)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	out, b, err := cutBlock(src)
	if err != nil {
		return false, fmt.Errorf("%s: %w", file, err)
	}
	if b != nil {
		if err := restore(file, out, b.added); err != nil {
			return false, err
		}
	}
	files, err := p.installed()
	if err != nil {
		return b != nil, err
	}
	for _, name := range files {
		if err := os.RemoveAll(filepath.Join(p.Folder, name)); err != nil {
			return true, err
		}
	}
	_ = os.Remove(p.Folder) // only if nothing else is in it
	return b != nil || len(files) > 0, nil
}

// restore writes what is left of a configuration file, or removes what a block
// brought with it.
func restore(file string, out []byte, added string) error {
	if len(out) > 0 || added != addedFile && added != addedFolder {
		return savefile.Write(file, out, 0o600)
	}
	if err := os.Remove(file); err != nil {
		return err
	}
	if added == addedFolder {
		_ = os.Remove(filepath.Dir(file)) // Jupyter may have put something there
	}
	return nil
}

// body is the Python between the markers. A failure in it may cost the user
// nothing but nbhush: no name is left behind, nothing is raised, one line in the log.
func (p Provisioner) body() string {
	return `# Written by nbhush jupyter enable. To take it out again: nbhush jupyter disable
def _nbhush(config, folder):
    import sys
    try:
        if folder not in sys.path:
            sys.path.append(folder)
        import nbhush_jupyter
        nbhush_jupyter.configure(config)
    except Exception as why:
        if not hasattr(sys, "_nbhush_said"):
            sys._nbhush_said = True
            from traitlets.log import get_logger
            get_logger().warning("nbhush: kernels start without it (%s); to end this message: nbhush jupyter disable", why)
_nbhush(get_config(), ` + pyString(p.Folder) + `)
del _nbhush
`
}

// writeFiles makes the folder hold this version's files and no other's.
func (p Provisioner) writeFiles() (changed bool, err error) {
	want := p.files()
	for _, name := range sortedKeys(want) {
		to := filepath.Join(p.Folder, filepath.FromSlash(name))
		if old, err := readFile(to, maxConfig); err == nil && string(old) == want[name] {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return changed, err
		}
		if err := savefile.Write(to, []byte(want[name]), 0o600); err != nil {
			return changed, err
		}
		changed = true
	}
	old, err := p.installed()
	if err != nil {
		return changed, err
	}
	for _, name := range old {
		if name == module || name == p.distInfo() {
			continue
		}
		if err := os.RemoveAll(filepath.Join(p.Folder, name)); err != nil {
			return changed, err
		}
		changed = true
	}
	return changed, nil
}

// files are the contents by slash-separated path below the folder. There is no
// RECORD, so that pip says who installed this instead of removing half of it.
func (p Provisioner) files() map[string]string {
	f := map[string]string{
		module + "/place.py": "NBHUSH = " + pyString(p.Binary) + "\nVERSION = " + pyString(p.Version) + "\n",
		p.distInfo() + "/METADATA": "Metadata-Version: 2.1\nName: nbhush-jupyter\nVersion: " + pep440(p.Version) +
			"\nSummary: starts Jupyter's kernels behind nbhush\n",
		p.distInfo() + "/INSTALLER":        "nbhush\n",
		p.distInfo() + "/entry_points.txt": "[jupyter_client.kernel_provisioners]\nnbhush = nbhush_jupyter.provisioner:NbhushProvisioner\n",
	}
	err := fs.WalkDir(modules, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := modules.ReadFile(name)
		f[module+"/"+path.Base(name)] = string(b)
		return err
	})
	if err != nil {
		panic(err) // the files are part of the program
	}
	return f
}

// installed are the entries of the folder that some version of Enable wrote.
func (p Provisioner) installed() ([]string, error) {
	entries, err := os.ReadDir(p.Folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if n := e.Name(); n == module || strings.HasPrefix(n, module+"-") && strings.HasSuffix(n, ".dist-info") {
			names = append(names, n)
		}
	}
	return names, nil
}

func (p Provisioner) distInfo() string { return module + "-" + pep440(p.Version) + ".dist-info" }

// Status reads the files and says what holds.
func (p Provisioner) Status() ProvisionerStatus {
	st := ProvisionerStatus{Config: p.Dirs.ConfigFile(), Folder: p.Folder, Chosen: p.Dirs.chosen()}
	src, err := readFile(st.Config, maxConfig)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		st.Problem = err.Error()
		return st
	}
	b, err := findBlock(src)
	if err != nil {
		st.Problem = err.Error()
		var hint *errBlock
		if errors.As(err, &hint) {
			st.Mend = hint.Hint()
		}
		return st
	}
	if b == nil {
		st.Problem, st.Mend = "Jupyter does not know nbhush", "nbhush jupyter enable"
		return st
	}
	place, _ := readFile(filepath.Join(p.Folder, module, "place.py"), maxConfig)
	st.Binary, st.Version = placeOf(place)
	st.Stale = b.body != p.body() || p.differs()
	st.Mend = "nbhush jupyter enable"
	switch {
	case p.Dirs.NoConfig:
		st.Problem, st.Mend = errNoConfig.Error(), errNoConfig.Hint()
	case st.Binary == "":
		st.Problem = "the files in " + p.Folder + " are missing"
	case !runs(st.Binary):
		st.Problem = st.Binary + ", which kernels should start behind, is not there"
	case !st.Stale:
		st.Mend = ""
	}
	st.Enabled = st.Problem == ""
	return st
}

// differs reports whether Enable would write a file.
func (p Provisioner) differs() bool {
	for name, want := range p.files() {
		got, err := readFile(filepath.Join(p.Folder, filepath.FromSlash(name)), maxConfig)
		if err != nil || string(got) != want {
			return true
		}
	}
	return false
}

// choice matches a line that names a default provisioner and is no comment, as
// the search in the Python module does.
var (
	choice     = expression(`(?m)^[^#\r\n]*default_provisioner_name`)
	configName = expression(`^jupyter\w*_config\.(py|json)$`)
)

// chosen lists where a default provisioner is named by somebody else: the
// environment, and Jupyter's configuration files as far as they can be known
// without asking a Jupyter for its prefix.
func (d Dirs) chosen() []string {
	var found []string
	if d.name != "" && d.name != "nbhush" {
		found = append(found, "JUPYTER_DEFAULT_PROVISIONER_NAME")
	}
	for _, dir := range append([]string{d.Config}, d.system...) {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if !configName().MatchString(e.Name()) {
				continue
			}
			f := filepath.Join(dir, e.Name())
			src, err := readFile(f, maxConfig)
			if err == nil && choice().Match(bytes.ReplaceAll(src, []byte("\r"), []byte("\n"))) {
				found = append(found, f)
			}
		}
	}
	return found
}

// placeOf reads back what files wrote into place.py.
func placeOf(src []byte) (binary, version string) {
	for line := range strings.Lines(string(src)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		switch s, ok := pyUnquote(value); {
		case !ok:
		case name == "NBHUSH":
			binary = s
		case name == "VERSION":
			version = s
		}
	}
	return binary, version
}

var localVersion = expression(`[^a-z0-9]+`)

// expression compiles when it is used: nbhush starts for every kernel and commit.
func expression(s string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(s) })
}

// pep440 turns a version of ours into one that Python's tools accept: digits
// and dots as they are, anything behind them as a local version.
func pep440(version string) string {
	v := strings.TrimPrefix(version, "v")
	n := strings.IndexFunc(v, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if n < 0 {
		n = len(v)
	}
	release := strings.Trim(v[:n], ".")
	if release == "" || strings.Contains(release, "..") {
		release, n = "0", 0
	}
	if local := strings.Trim(localVersion().ReplaceAllString(strings.ToLower(v[n:]), "."), "."); local != "" {
		return release + "+" + local
	}
	return release
}

// readFile reads a regular file of at most max bytes.
func readFile(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(b)) > max {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, max)
	}
	return b, err
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// hintError is an error that the user can mend.
type hintError struct{ text, hint string }

func (e *hintError) Error() string { return e.text }

// Hint is the next command.
func (e *hintError) Hint() string { return e.hint }

var errNoConfig = &hintError{"JUPYTER_NO_CONFIG is set, so Jupyter reads no configuration", "unset JUPYTER_NO_CONFIG"}
