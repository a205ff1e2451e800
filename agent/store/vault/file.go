package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"filippo.io/age"

	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

// Limits of what is read, in bytes. maxPlain leaves room for what age adds, so
// that what was written can be read again.
const (
	maxFile  = 64 << 20
	maxPlain = 60 << 20
)

const version = 1

// entry is one secret in the file. Its bytes belong to the entries.
type entry struct {
	Value   []byte    `json:"value"` // base64
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

type entries map[secret.Name]entry

func (all entries) names() []secret.Name { return slices.Sorted(maps.Keys(all)) }

func (all entries) wipe() {
	for _, e := range all {
		clear(e.Value)
	}
}

// seal returns all as an age file for to.
func seal(all entries, to age.Recipient) ([]byte, error) {
	plain := appendJSON(nil, all)
	defer func() { clear(plain) }()
	if len(plain) > maxPlain {
		return nil, fmt.Errorf("it would have %d bytes, more than %d", len(plain), maxPlain)
	}
	return encrypt(plain, to)
}

// encrypt returns plain as an age file for to.
func encrypt(plain []byte, to age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// open is the inverse of seal.
func open(src []byte, identity age.Identity) (entries, error) {
	r, err := age.Decrypt(bytes.NewReader(src), identity)
	if err != nil {
		return nil, err
	}
	// One buffer that never grows, so that no copy of it is left behind.
	plain := make([]byte, len(src))
	defer clear(plain)
	// Not io.ReadFull: it says io.ErrUnexpectedEOF for a whole file as age does
	// for one that was cut.
	for n := 0; n < len(plain); {
		m, err := r.Read(plain[n:])
		n += m
		if err == io.EOF {
			return parseJSON(plain[:n])
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errors.New("it holds more than its own length")
}

// appendJSON writes by hand what encoding/json would, because that keeps its
// buffers for reuse. Names need no escapes: Set and parseJSON let no others in.
func appendJSON(dst []byte, all entries) []byte {
	size := 64
	for name, e := range all {
		size += len(name) + base64.StdEncoding.EncodedLen(len(e.Value)) + 128
	}
	dst = slices.Grow(dst, size)
	dst = fmt.Appendf(dst, `{"version":%d,"entries":{`, version)
	for i, name := range all.names() {
		if i > 0 {
			dst = append(dst, ',')
		}
		e := all[name]
		dst = fmt.Appendf(dst, "\n%q:{\"value\":\"", string(name))
		dst = base64.StdEncoding.AppendEncode(dst, e.Value)
		dst = fmt.Appendf(dst, `","created":%q,"updated":%q}`, e.Created.Format(time.RFC3339), e.Updated.Format(time.RFC3339))
	}
	return append(dst, "\n}}\n"...)
}

// parseJSON reads what appendJSON wrote. Its errors repeat nothing of src.
func parseJSON(src []byte) (entries, error) {
	var f struct {
		Version int     `json:"version"`
		Entries entries `json:"entries"`
	}
	if err := json.Unmarshal(src, &f); err != nil {
		return nil, errors.New("what it holds is not the JSON of a vault")
	}
	if f.Version != version {
		f.Entries.wipe()
		return nil, fmt.Errorf("it has version %d, and this program knows %d", f.Version, version)
	}
	for name := range f.Entries {
		if err := checkName(name); err != nil {
			f.Entries.wipe()
			return nil, errors.New("it holds a name that no secret can have")
		}
	}
	if f.Entries == nil {
		f.Entries = entries{}
	}
	return f.Entries, nil
}

// checkName lets the names of secrets in, and what is kept hidden beside them.
func checkName(name secret.Name) error {
	if name == store.HiddenHead {
		return nil
	}
	_, err := secret.ParseName(string(name))
	return err
}

// readPrivate returns the content of the file at path if it is one that no
// other user can read.
func readPrivate(path string) ([]byte, error) {
	if st, err := os.Stat(path); err != nil {
		return nil, err
	} else if !st.Mode().IsRegular() { // a pipe would keep us waiting
		return nil, fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if open := othersCan(st); open != "" {
		return nil, &store.Error{
			Err:  fmt.Errorf("%s is open to other users: its mode is %s", path, open),
			Mend: fmt.Sprintf("close it with: chmod 600 '%s' and change what it held, if somebody may have read it", path),
		}
	}
	if st.Size() > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	src := make([]byte, st.Size())
	if _, err := io.ReadFull(f, src); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return src, nil
}
