package kernelspec

import "testing"

func FuzzPyString(f *testing.F) {
	for _, s := range []string{"", `C:\Users\"x"`, "/home/zoë/\U0001f511", "\xff\xfe", "a\nb\x00", "\\udc80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := pyString(s)
		for i := range len(q) {
			if q[i] < ' ' || q[i] > '~' {
				t.Fatalf("%q is not plain ASCII", q)
			}
		}
		if got, ok := pyUnquote(q); !ok || got != s {
			t.Fatalf("%q came back as %q from %s", s, got, q)
		}
	})
}
