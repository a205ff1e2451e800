// Package secret holds the two nouns that everything else passes around: the
// Name of a secret and its Value.
//
// A Value prints as [secret] under every fmt verb, in JSON, as text and in
// slog. Reveal is the only way to its bytes, so a search for Reveal lists every
// place where a value can go. The package imports nothing of the project.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// MaxNameLen is the longest name, in bytes.
const MaxNameLen = 128

// Name is the name of a secret: the name of an environment variable in the
// sense of POSIX.1-2017, section 8.1, and not one that steers nbhush itself.
type Name string

// ParseName returns s as a Name, or an error that says which rule s breaks.
// The error repeats s only when s looks like a name, since people paste values
// into the wrong field.
func ParseName(s string) (Name, error) {
	switch {
	case s == "":
		return "", &NameError{reason: "a secret needs a name"}
	case len(s) > MaxNameLen:
		return "", &NameError{reason: fmt.Sprintf("a secret's name has at most %d characters", MaxNameLen)}
	case strings.HasPrefix(s, "NBHUSH_"):
		return "", &NameError{reason: "names that begin with NBHUSH_ steer nbhush itself"}
	}
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return "", &NameError{reason: "a secret's name has only letters, digits and _ and does not begin with a digit"}
		}
	}
	return Name(s), nil
}

// NameError says why a string is not a Name.
type NameError struct{ reason string }

func (e *NameError) Error() string { return e.reason }

// Hint says what a good name looks like.
func (e *NameError) Hint() string {
	return "use the name of an environment variable, such as OPENAI_API_KEY"
}

// Value is the value of a secret: any bytes. Copies of a Value share their
// bytes, so that Wipe reaches every copy. The zero Value is empty. A Value may
// be read by many goroutines; Wipe must not run beside them.
type Value struct{ bytes *[]byte }

// New returns a Value that owns b. The caller must not use b afterwards.
func New(b []byte) Value { return Value{&b} }

// Reveal returns the bytes. They belong to the Value: the caller must not
// change them, nor keep them longer than it needs.
func (v Value) Reveal() []byte {
	if v.bytes == nil {
		return nil
	}
	return *v.bytes
}

// Len returns the number of bytes.
func (v Value) Len() int { return len(v.Reveal()) }

// Equal reports, in time that depends on the length only, whether v and w hold
// the same bytes.
func (v Value) Equal(w Value) bool {
	return subtle.ConstantTimeCompare(v.Reveal(), w.Reveal()) == 1
}

// Clone returns a Value with bytes of its own.
func (v Value) Clone() Value { return New(append([]byte(nil), v.Reveal()...)) }

// Wipe overwrites the bytes with zeros and empties every copy of v.
func (v Value) Wipe() {
	if v.bytes == nil {
		return
	}
	clear(*v.bytes)
	*v.bytes = nil
}

const masked = "[secret]"

// String returns [secret].
func (Value) String() string { return masked }

// GoString returns [secret].
func (Value) GoString() string { return masked }

// Format writes [secret] for every verb and flag.
func (Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// MarshalText returns [secret].
func (Value) MarshalText() ([]byte, error) { return []byte(masked), nil }

// MarshalJSON returns "[secret]".
func (Value) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }

// LogValue returns [secret].
func (Value) LogValue() slog.Value { return slog.StringValue(masked) }
