package jupyter

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/nbhush/nbhush/agent/savefile"
)

//go:embed nbhush_save/*.py
var modules embed.FS

const (
	module    = "nbhush_save"
	configDir = "jupyter_server_config.d"
	content   = `{"ServerApp":{"jpserver_extensions":{"` + module + `":true}}}` + "\n"
	madeFile  = "made" // lists the folders that Enable made, for Disable
)

// Extension is the server extension in one user's Jupyter. The fields are not
// changed; an Extension is safe for concurrent use as far as the files are.
//
// Folder has to be on Jupyter's sys.path, which the provisioner's block in
// jupyter_config.py sees to.
type Extension struct {
	Config string // the user's Jupyter configuration folder
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

// Enable writes the Python files and then the file that names them. It reports
// whether anything changed; a second call changes nothing.
func (e Extension) Enable() (changed bool, err error) {
	if !filepath.IsAbs(e.Config) || !filepath.IsAbs(e.Folder) || !filepath.IsAbs(e.Binary) {
		return false, fmt.Errorf("%s, %s and %s have to be absolute paths", e.Config, e.Folder, e.Binary)
	}
	old, err := os.ReadFile(e.configFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, err
	case string(old) != content:
		return false, &ForeignError{e.configFile()}
	}
	if changed, err = e.writeFiles(); err != nil || old != nil {
		return changed, err
	}
	if err := e.makeDirs(); err != nil {
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
	dir := filepath.Join(e.Folder, module)
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

// files are the contents by name in the module's folder.
func (e Extension) files() map[string][]byte {
	f := map[string][]byte{"place.py": place(e.Binary)}
	entries, err := modules.ReadDir(module)
	for _, entry := range entries {
		var b []byte
		if b, err = modules.ReadFile(path.Join(module, entry.Name())); err != nil {
			break
		}
		f[entry.Name()] = b
	}
	if err != nil {
		panic(err) // the files are part of the program
	}
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
	dir := filepath.Join(e.Folder, module)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, err
	}
	for name, want := range e.files() {
		to := filepath.Join(dir, name)
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
	for name, want := range e.files() {
		if got, err := os.ReadFile(filepath.Join(e.Folder, module, name)); err != nil || !bytes.Equal(got, want) {
			return true
		}
	}
	return false
}

// makeDirs makes the folders of the configuration file and notes which were
// not there, deepest first.
func (e Extension) makeDirs() error {
	var made []string
	for _, dir := range []string{filepath.Dir(e.configFile()), e.Config} {
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			made = append(made, dir+"\n")
		}
	}
	if len(made) == 0 {
		return nil
	}
	if err := savefile.Write(filepath.Join(e.Folder, module, madeFile), []byte(strings.Join(made, "")), 0o600); err != nil {
		return err
	}
	return os.MkdirAll(filepath.Dir(e.configFile()), 0o700)
}
