package startup

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nbhush/nbhush/agent/savefile"
)

//go:embed startup.py
var source string

// fileName is the first of the startup files: those after it may use nbhush.
const fileName = "00-nbhush.py"

// File is the startup file of one user. Its fields are not changed.
type File struct {
	Dir    string // IPython's own folder; see FindDir
	Binary string // absolute path of nbhush
}

// Status is what is known of a File.
type Status struct {
	Enabled bool   `json:"enabled"`
	File    string `json:"file"`
	Binary  string `json:"binary,omitempty"` // that sessions start
	Stale   bool   `json:"stale"`            // another version, or for another binary than this one
	Problem string `json:"problem,omitempty"`
	Mend    string `json:"hint,omitempty"`
}

// FindDir returns IPython's folder, as IPython.paths.get_ipython_dir (9.0) does.
func FindDir(getenv func(string) string) (string, error) {
	if dir := getenv("IPYTHONDIR"); dir != "" {
		return filepath.Abs(dir)
	}
	home := getenv("HOME")
	if home == "" {
		var err error
		if home, err = os.UserHomeDir(); err != nil {
			return "", fmt.Errorf("IPython's folder: %w", err)
		}
	}
	return filepath.Join(home, ".ipython"), nil
}

// Path is the path of the file.
func (f File) Path() string { return filepath.Join(f.Dir, "profile_default", "startup", fileName) }

// The first line of the file says how many folders were made for it and what it
// was when it was written.
const headerStart = "# nbhush startup file: "

func (f File) text(folders int) (string, error) {
	if !filepath.IsAbs(f.Binary) {
		return "", fmt.Errorf("%s is not an absolute path", f.Binary)
	}
	program, err := json.Marshal(f.Binary) // a literal of Python's, too
	if err != nil {
		return "", err
	}
	body := strings.Replace(source, "_nbhush(PROGRAM)", "_nbhush("+string(program)+")", 1)
	return header(body, folders) + body, nil
}

func header(body string, folders int) string {
	sum := sha256.Sum256([]byte(body))
	return fmt.Sprintf("%sfolders=%d sum=%s\n", headerStart, folders, hex.EncodeToString(sum[:8]))
}

// foreignError says that the file is not as nbhush wrote it.
type foreignError struct{ path string }

func (e *foreignError) Error() string { return e.path + " is not as nbhush wrote it" }

// Hint says what a person can do that a program should not.
func (e *foreignError) Hint() string {
	return "look at it, delete it or give it another name, then run: nbhush ipython enable"
}

// read returns the file's text and how many folders were made for it. ok is
// false where there is no file.
func (f File) read() (text string, folders int, ok bool, err error) {
	b, err := os.ReadFile(f.Path())
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0, false, nil
	}
	if err != nil {
		return "", 0, false, err
	}
	head, body, _ := strings.Cut(string(b), "\n")
	number, _, _ := strings.Cut(strings.TrimPrefix(head, headerStart+"folders="), " ")
	folders, err = strconv.Atoi(number)
	if err != nil || header(body, folders) != head+"\n" {
		return "", 0, true, &foreignError{f.Path()}
	}
	return string(b), folders, true, nil
}

// Enable writes the file, and says whether that changed anything.
func (f File) Enable() (changed bool, err error) {
	old, folders, ok, err := f.read()
	if err != nil {
		return false, err
	}
	if !ok {
		folders = missing(filepath.Dir(f.Path()))
	}
	text, err := f.text(folders)
	if err != nil || text == old {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(f.Path()), 0o755); err != nil { //nolint:gosec // as IPython makes it
		return false, err
	}
	return true, savefile.Write(f.Path(), []byte(text), 0o644)
}

// missing counts the folders on the way to dir that are not there.
func missing(dir string) (n int) {
	for ; filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		n++
	}
	return n
}

// Disable removes the file and the folders that were made for it, as far as
// nothing else is in them, and says whether that changed anything.
func (f File) Disable() (changed bool, err error) {
	_, folders, ok, err := f.read()
	if err != nil || !ok {
		return false, err
	}
	if err := os.Remove(f.Path()); err != nil {
		return false, err
	}
	dir := filepath.Dir(f.Path())
	for range folders {
		if os.Remove(dir) != nil { // IPython or the user has put something there
			break
		}
		dir = filepath.Dir(dir)
	}
	return true, nil
}

// Status reads the file.
func (f File) Status() Status {
	st := Status{File: f.Path()}
	text, folders, ok, err := f.read()
	var mend interface{ Hint() string }
	switch {
	case err != nil:
		st.Problem = err.Error()
		if errors.As(err, &mend) {
			st.Mend = mend.Hint()
		}
	case !ok:
		st.Problem, st.Mend = "IPython does not know nbhush", "nbhush ipython enable"
	default:
		now, err := f.text(folders)
		st.Enabled, st.Stale = true, err != nil || now != text
		st.Binary = programOf(text)
		if st.Stale {
			st.Mend = "nbhush ipython enable"
		}
	}
	return st
}

// programOf reads the program's path back.
func programOf(text string) (path string) {
	_, rest, _ := strings.Cut(text, "\n    _nbhush(\"")
	literal, _, _ := strings.Cut(rest, "\n")
	_ = json.Unmarshal([]byte(`"`+strings.TrimSuffix(literal, ")")), &path)
	return path
}
