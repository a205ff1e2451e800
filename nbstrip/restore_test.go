package nbstrip

import (
	"bytes"
	"crypto/rand"
	"testing"
)

func TestRestore(t *testing.T) {
	values := map[string]string{"KEY": rand.Text(), "ODD": "é\"\\\n" + rand.Text()}
	f := finder(values)
	value := func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	for _, c := range []struct{ src, want string }{
		{
			`{"cells": [{"cell_type": "code", "source": ["a = '[nbhush:KEY]' # [nbhush:OTHER]\n", "[nbhush:KEY]"]}]}`,
			`{"cells": [{"cell_type": "code", "source": ["a = '` + values["KEY"] + `' # [nbhush:OTHER]\n", "` + values["KEY"] + `"]}]}`,
		},
		{
			`{"cells": [{"source": "\u0061[nbhush:ODD]", "cell_type": "code"}]}`,
			`{"cells": [{"source": "\u0061` + string(escape(values["ODD"])) + `", "cell_type": "code"}]}`,
		},
		{`{"cells": [{"cell_type": "code", "outputs": [{"text": "[nbhush:KEY]"}], "source": ""}]}`, ""},
		{`{"cells": [{"cell_type": "markdown", "source": "[nbhush:KEY]"}]}`, ""},
		{`{"cells": [{"cell_type": "code", "source": ["[nbhush:", "KEY]"]}]}`, ""},
		{`{"cells": [{"cell_type": "code", "source": "[nbhush:KEY]"}`, ""},
		{`{"cells": []}`, ""},
	} {
		want := c.want
		if want == "" {
			want = c.src
		}
		got := Restore([]byte(c.src), value)
		if string(got) != want {
			t.Errorf("%s became\n%s, want\n%s", c.src, got, want)
		}
		if res, err := Strip(t.Context(), got, f, Options{}); err == nil && !bytes.Equal(res.Out, []byte(c.src)) {
			t.Errorf("stripped again it is not what it was: %s", res.Out)
		}
	}
}

// FuzzRestore: without values nothing changes; with one, nothing but sources.
func FuzzRestore(f *testing.F) {
	f.Add(`{"cells": [{"cell_type": "code", "source": ["[nbhush:KEY]"], "outputs": ["[nbhush:KEY]"]}]}`)
	f.Fuzz(func(t *testing.T, src string) {
		if got := Restore([]byte(src), func(string) (string, bool) { return "", false }); string(got) != src {
			t.Fatalf("%q changed", src)
		}
		got := Restore([]byte(src), func(name string) (string, bool) { return "[nbhush:" + name + "]", true })
		if string(Restore(got, func(string) (string, bool) { return "", false })) != string(got) {
			t.Fatal("not stable")
		}
	})
}
