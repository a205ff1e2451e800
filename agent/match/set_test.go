package match

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/nbhush/nbhush/agent/secret"
)

func TestFindWipe(t *testing.T) {
	value := rand.Text()
	s := New([]Known{{"TOKEN", secret.New([]byte(value))}, {"SHORT", secret.New([]byte("abc"))}})
	if s.Len() != 1 {
		t.Errorf("Len() = %d, want 1", s.Len())
	}
	text := []byte("token: " + value + "\n")
	r, err := s.Find(context.Background(), text)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(Replace(nil, text, r.Spans)), "token: [nbhush:TOKEN]\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s.Wipe()
	if _, err := s.Find(context.Background(), text); !errors.Is(err, ErrWiped) {
		t.Errorf("Find after Wipe: %v", err)
	}
}

func TestRedactorBytewise(t *testing.T) {
	value := rand.Text()
	s := New([]Known{{"TOKEN", secret.New([]byte(value))}})
	var out bytes.Buffer
	w := NewRedactor(s, &out)
	for _, c := range []byte("a" + value + "b" + value) {
		if _, err := w.Write([]byte{c}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "a[nbhush:TOKEN]b[nbhush:TOKEN]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
