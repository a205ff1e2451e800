package jupyter

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nbhush/nbhush/agent/savefile"
)

//go:embed nbhush_save/*.py
var modules embed.FS

//go:embed page
var page embed.FS

const (
	module    = "nbhush_save"
	configDir = "jupyter_server_config.d"
	content   = `{"ServerApp":{"jpserver_extensions":{"` + module + `":true}}}` + "\n"
	pageDir   = "labextensions/nbhush-save"
	madeFile  = "made" // lists the folders that Enable made, for Disable
)

// Extension is the server extension in one user's Jupyter. The fields are not
// changed; an Extension is safe for concurrent use as far as the files are.
//
// Folder has to be on Jupyter's sys.path, which the provisioner's block in
// jupyter_config.py sees to.
type Extension struct {
	Config string // the user's Jupyter configuration folder
	Data   string // the user's Jupyter data folder
	Folder string // where the Python files go; home.Jupyter
	Binary string // absolute path of nbhush, as the server will start it
}

// Status is what is known of an Extension without starting Jupyter.
type Status struct {
	Enabled bool   `json:"enabled"`
	Config  string `json:"config"`            // the file that names the extension, absolute
	Stale   bool   `json:"stale"`             // Enable would write a file
	Problem string `json:"problem,omitempty"` // why saves are not checked
	Mend    string `json:"hint,omitempty"`    // the command against it
}

// ForeignError says that the file which should name the extension is somebody else's.
type ForeignError struct{ Path string }

func (e *ForeignError) Error() string { return e.Path + " is there, and not of nbhush" }

// Hint says what a person can do that a program should not.
func (e *ForeignError) Hint() string { return "move that file away, then: nbhush jupyter enable" }

func (e Extension) configFile() string { return filepath.Join(e.Config, configDir, "nbhush.json") }

// Enable writes the Python files, those of the page and then the file that names the first. It reports
// whether anything changed; a second call changes nothing.
func (e Extension) Enable() (changed bool, err error) {
	for _, path := range []string{e.Config, e.Data, e.Folder, e.Binary} {
		if !filepath.IsAbs(path) {
			return false, fmt.Errorf("%q has to be an absolute path", path)
		}
	}
	old, err := os.ReadFile(e.configFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, err
	case string(old) != content:
		return false, &ForeignError{e.configFile()}
	}
	if err := e.makeDirs(); err != nil {
		return false, err
	}
	if changed, err = e.writeFiles(); err != nil || old != nil {
		return changed, err
	}
	return true, savefile.Write(e.configFile(), []byte(content), 0o600)
}

// Disable takes away what Enable wrote, and nothing else. It reports whether
// anything changed.
func (e Extension) Disable() (changed bool, err error) {
	old, err := os.ReadFile(e.configFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, err
	case string(old) == content:
		if err := os.Remove(e.configFile()); err != nil {
			return false, err
		}
		changed = true
	}
	dir, page := filepath.Join(e.Folder, module), filepath.Join(e.Data, filepath.FromSlash(pageDir))
	if _, err := os.Lstat(page); err == nil && filepath.IsAbs(page) {
		changed = true
		if err := os.RemoveAll(page); err != nil {
			return changed, err
		}
	}
	made, _ := os.ReadFile(filepath.Join(dir, madeFile))
	for name := range strings.Lines(string(made)) {
		_ = os.Remove(strings.TrimSuffix(name, "\n")) // only if nothing else is in it
	}
	if _, err := os.Lstat(dir); err == nil {
		changed = true
		if err := os.RemoveAll(dir); err != nil {
			return changed, err
		}
	}
	_ = os.Remove(e.Folder) // only if nothing else is in it
	return changed, nil
}

// Status reads the files and says what holds.
func (e Extension) Status() Status {
	st := Status{Config: e.configFile(), Mend: "nbhush jupyter enable"}
	got, err := os.ReadFile(e.configFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		st.Problem = "Jupyter saves notebooks unchecked"
	case err != nil:
		st.Problem = err.Error()
	case string(got) != content:
		foreign := &ForeignError{e.configFile()}
		st.Problem, st.Mend = foreign.Error(), foreign.Hint()
	default:
		if _, err := os.Stat(filepath.Join(e.Folder, module, "__init__.py")); err != nil {
			st.Problem = "the files in " + filepath.Join(e.Folder, module) + " are missing"
		}
		st.Stale = e.differs()
	}
	st.Enabled = st.Problem == ""
	if st.Enabled && !st.Stale {
		st.Mend = ""
	}
	return st
}

// files are the contents by path.
func (e Extension) files() map[string][]byte {
	f := map[string][]byte{filepath.Join(e.Folder, module, "place.py"): place(e.Binary)}
	add := func(from fs.FS, root, to string) {
		err := fs.WalkDir(from, root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name := filepath.FromSlash(strings.TrimPrefix(path, root))
			f[filepath.Join(to, name)], err = fs.ReadFile(from, path)
			return err
		})
		if err != nil {
			panic(err) // the files are part of the program
		}
	}
	add(modules, module, filepath.Join(e.Folder, module))
	add(page, "page", filepath.Join(e.Data, filepath.FromSlash(pageDir)))
	return f
}

// place is the Python file that says where nbhush is: its path as bytes, since
// it need not be UTF-8.
func place(binary string) []byte {
	b := []byte("import os\n\nNBHUSH = os.fsdecode(b\"")
	for _, c := range []byte(binary) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			b = fmt.Appendf(b, `\x%02x`, c)
		} else {
			b = append(b, c)
		}
	}
	return append(b, "\")\n"...)
}

func (e Extension) writeFiles() (changed bool, err error) {
	for to, want := range e.files() {
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return changed, err
		}
		if old, err := os.ReadFile(to); err == nil && bytes.Equal(old, want) {
			continue
		}
		if err := savefile.Write(to, want, 0o600); err != nil {
			return changed, err
		}
		changed = true
	}
	return changed, nil
}

func (e Extension) differs() bool {
	for path, want := range e.files() {
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			return true
		}
	}
	return false
}

// makeDirs makes the folders of Jupyter's in which files will be, and notes
// which were not there, deepest first.
func (e Extension) makeDirs() error {
	list := filepath.Join(e.Folder, module, madeFile)
	made, err := os.ReadFile(list)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	labextensions := filepath.Dir(filepath.Join(e.Data, filepath.FromSlash(pageDir)))
	noted := len(made)
	for _, dir := range []string{filepath.Dir(e.configFile()), labextensions} {
		for ; ; dir = filepath.Dir(dir) {
			if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
				break
			}
			made = append(made, dir+"\n"...)
		}
	}
	if len(made) > noted {
		if err := os.MkdirAll(filepath.Dir(list), 0o700); err != nil {
			return err
		}
		if err := savefile.Write(list, made, 0o600); err != nil {
			return err
		}
	}
	return errors.Join(os.MkdirAll(filepath.Dir(e.configFile()), 0o700), os.MkdirAll(labextensions, 0o700))
}
