package policy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-json-experiment/json/jsontext"
)

// maxNotebook is the size of the longest notebook that is read, in bytes.
const maxNotebook = 64 << 20

// NotebookProfile returns what the notebook at path says at
// metadata.nbhush.profile, or "". Nothing else of it is kept.
func NotebookProfile(path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !st.Mode().IsRegular() || st.Size() > maxNotebook {
		return "", fmt.Errorf("%s is no notebook, or too long", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	profile, err := metadataProfile(io.LimitReader(f, maxNotebook))
	if err != nil {
		return "", fmt.Errorf("the metadata of %s cannot be read", path) // the reason may repeat what is in it
	}
	return profile, nil
}

var errNoObject = errors.New("not an object")

// metadataProfile reads a notebook up to the profile that it names.
func metadataProfile(r io.Reader) (string, error) {
	in := bufio.NewReader(r)
	if bom, _ := in.Peek(3); string(bom) == "\xef\xbb\xbf" {
		_, _ = in.Discard(3)
	}
	d := jsontext.NewDecoder(in, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for _, key := range []string{"metadata", "nbhush", "profile"} {
		if d.PeekKind() != '{' {
			return "", errNoObject
		}
		if found, err := enter(d, key); !found || err != nil {
			return "", err
		}
	}
	if d.PeekKind() != '"' {
		return "", errNoObject
	}
	t, err := d.ReadToken()
	if err != nil || !validProfile(t.String()) {
		return "", errors.Join(err, errProfileName)
	}
	return t.String(), nil
}

// enter reads an object up to the value of key.
func enter(d *jsontext.Decoder, key string) (found bool, err error) {
	if _, err := d.ReadToken(); err != nil {
		return false, err
	}
	for d.PeekKind() == '"' {
		t, err := d.ReadToken()
		if err != nil {
			return false, err
		}
		if t.String() == key {
			return true, nil
		}
		if err := d.SkipValue(); err != nil {
			return false, err
		}
	}
	_, err = d.ReadToken()
	return false, err
}
