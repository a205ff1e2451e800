package kernelhook

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

// A value travels in messages of every type and shape that a real ipykernel
// sends: the value and every twelve bytes of it are in none of them, and a
// placeholder tells where it was. What the kernel's own environment holds, which
// nobody stored, is taken out as well.
func TestTravel(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ambient := "sk-" + rand.Text() + rand.Text()
	told := r.script("travel.py", ambient)
	types := map[string]bool{}
	values := []string{ambient, r.values["TOKEN"].Value}
	silent := map[string]bool{"comm_info_reply": true, "widget image": true, "environment's own": true}
	for _, o := range told {
		what := o["what"].(string)
		shown := o["shown"].(string) + o["reply"].(string)
		for _, ty := range o["types"].([]any) {
			types[ty.(string)] = true
		}
		for _, v := range values {
			if piece := leaked(shown, v); piece != "" {
				t.Errorf("%s: delivered %d bytes of a value: %s", what, len(piece), around(shown, piece))
			}
		}
		if !silent[what] && !strings.Contains(shown, "[nbhush:TOKEN]") && !strings.Contains(shown, "****") {
			t.Errorf("%s: no placeholder in %s", what, shown)
		}
		if what == "environment's own" || what == "dict(os.environ)" {
			if !strings.Contains(shown, "[nbhush:env-AMBIENT_API_KEY]") {
				t.Errorf("%s: no placeholder in %s", what, shown)
			}
		}
	}
	for _, ty := range []string{
		"stream", "display_data", "update_display_data", "execute_result", "error", "comm_open", "comm_msg", "comm_close",
		"inspect_reply", "complete_reply", "execute_reply", "history_reply", "comm_info_reply", "debug_reply", "input_request",
	} {
		if !types[ty] {
			t.Errorf("no %s was seen", ty)
		}
	}
	r.gone()
}

// minLeak is how many bytes of a value in a row are too many.
const minLeak = 8

// leaked returns a piece of v, in the clear, in base64 or in hex, that is in text.
func leaked(text, v string) string {
	forms := []string{v, hex.EncodeToString([]byte(v))}
	for shift := range 3 {
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte("xx"[:shift] + v))[4:])
	}
	for _, form := range forms {
		for i := 0; i+minLeak <= len(form); i++ {
			if strings.Contains(text, form[i:i+minLeak]) {
				return form[i : i+minLeak]
			}
		}
	}
	return ""
}

// around returns what stands around a piece in text, without the piece.
func around(text, piece string) string {
	i := strings.Index(text, piece)
	return text[max(0, i-200):i] + "<HERE>" + text[i+len(piece):min(len(text), i+200)]
}
