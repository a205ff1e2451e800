package inject

import (
	"embed"
	"encoding/json"
	"strings"
)

//go:embed bootstrap/python.py bootstrap/python_install.py
var bootstraps embed.FS

// Bootstrap returns the code that makes secrets available by name in a kernel
// of this language (language_info.name of kernel_info_reply), or "" where
// there is none. It is to be executed silently; it holds no value and leaves
// no name in the user's namespace.
func Bootstrap(language string) string {
	if strings.ToLower(language) != "python" {
		return ""
	}
	return "exec(compile(" + pythonLiteral("bootstrap/python_install.py") + `, "<nbhush>", "exec"), {"__name__": "nbhush_install", "source": ` +
		pythonLiteral("bootstrap/python.py") + "})"
}

// pythonLiteral returns a file as a string literal: those of JSON, in ASCII, are Python's too.
func pythonLiteral(name string) string {
	src, err := bootstraps.ReadFile(name)
	if err != nil {
		panic(err) // embedded: cannot be
	}
	lit, err := json.Marshal(string(src))
	if err != nil {
		panic(err) // a string: cannot be
	}
	return string(lit)
}
