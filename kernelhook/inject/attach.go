package inject

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
)

// Attached is the expression, in Python, that takes away what Attach's code left: see AttachError.
const Attached = `__import__("sys").__dict__.pop("_nbhush_told")`

// Attach returns the code that tells a running kernel of this language where
// to ask, unless endpoint is "", and when to ask for changes (see Since, "" for
// never), and has it ask for names at once; "" where there is no bootstrap. It is
// to be executed silently, and holds no value.
func Attach(language, endpoint, token, since string, names []secret.Name) string {
	bootstrap := Bootstrap(language)
	if bootstrap == "" {
		return ""
	}
	if names == nil {
		names = []secret.Name{}
	}
	var globals strings.Builder
	for _, g := range []struct {
		name  string
		value any
	}{{"endpoint", endpoint}, {"token", token}, {"since", since}, {"names", names}, {"bootstrap", bootstrap}} {
		globals.WriteString(`, "` + g.name + `": ` + literal(g.value))
	}
	return "exec(compile(" + literal(text("python_attach.py")) + `, "<nbhush>", "exec"), {"__name__": "nbhush_attach"` + globals.String() + "})"
}

// AttachError returns the error that the value of Attached means: of type
// *api.Error, or nil.
func AttachError(told string) error {
	b, err := hex.DecodeString(told)
	if err == nil && len(b) == 0 {
		return nil
	}
	e := new(api.Error)
	if err != nil || json.Unmarshal(b, e) != nil {
		return errors.New("what the kernel says of its names is not understood")
	}
	return e
}
