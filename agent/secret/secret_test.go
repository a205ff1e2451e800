package secret

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestValueNeverPrints(t *testing.T) {
	text := rand.Text()
	v := New([]byte(text))
	holder := struct {
		V Value
		P *Value
		M map[string]Value
	}{v, &v, map[string]Value{"k": v}}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%08b", "%c"} {
		fmt.Fprintf(&out, verb+"\n", v)
		fmt.Fprintf(&out, verb+"\n", holder)
		fmt.Fprintf(&out, verb+"\n", []Value{v})
	}
	if err := json.NewEncoder(&out).Encode(holder); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v, "h", holder)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v, "h", holder)

	got := strings.ToLower(out.String())
	for _, form := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%d", []byte(text))} {
		if strings.Contains(got, strings.ToLower(form)) {
			t.Errorf("a value was printed as %T", form)
		}
	}
	if !strings.Contains(got, masked) {
		t.Errorf("no %s in the output", masked)
	}
}

func TestWipeReachesCopies(t *testing.T) {
	b := []byte(rand.Text())
	v := New(b)
	w := v
	c := v.Clone()
	v.Wipe()
	if w.Len() != 0 || !bytes.Equal(b, make([]byte, len(b))) {
		t.Error("a copy outlived Wipe")
	}
	if c.Len() == 0 {
		t.Error("Wipe reached a clone")
	}
	Value{}.Wipe()
	if !(Value{}).Equal(w) {
		t.Error("a wiped value is not the empty value")
	}
}

func TestParseName(t *testing.T) {
	for _, good := range []string{"A", "_x", "OPENAI_API_KEY", "a1", strings.Repeat("A", MaxNameLen)} {
		if _, err := ParseName(good); err != nil {
			t.Errorf("ParseName(%q): %v", good, err)
		}
	}
	for _, bad := range []string{"", "1A", "A-B", "A B", "A=B", "É", "A\n", "NBHUSH_HOME", strings.Repeat("A", MaxNameLen+1)} {
		if _, err := ParseName(bad); err == nil {
			t.Errorf("ParseName(%q) succeeded", bad)
		}
	}
}
