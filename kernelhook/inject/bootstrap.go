package inject

import (
	"bytes"
	"compress/zlib"
	"embed"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strings"
)

//go:embed bootstrap/*.py
var bootstraps embed.FS

// pythonModules are the modules of the Python bootstrap and their files.
var pythonModules = map[string]string{
	"nbhush":           "python.py",
	"nbhush._ipython":  "python_ipython.py",
	"nbhush._prompts":  "python_prompts.py",
	"nbhush._refresh":  "python_refresh.py",
	"nbhush._shims":    "python_shims.py",
	"nbhush._trackers": "python_trackers.py",
	"nbhush._wandb":    "python_wandb.py",
	"nbhush._mlflow":   "python_mlflow.py",
}

// Bootstrap returns the code that makes secrets available by name in a kernel
// of this language (language_info.name of kernel_info_reply), or "" where
// there is none. It is to be executed silently; it holds no value and leaves
// no name in the user's namespace.
func Bootstrap(language string) string {
	if strings.ToLower(language) != "python" {
		return ""
	}
	return "exec(compile(" + literal(text("python_install.py")) + `, "<nbhush>", "exec"), {"__name__": "nbhush_install", "sources": ` +
		literal(packed()) + "})"
}

// packed returns the modules as python_install takes them: most kernels use one or two
// of them, and IPython looks at a cell character by character before it runs it.
func packed() map[string]string {
	w, err := zlib.NewWriterLevel(nil, zlib.BestSpeed) // one for all: each takes a megabyte
	if err != nil {
		panic(err) // the level is one: cannot be
	}
	sources := map[string]string{}
	for module, file := range pythonModules {
		var b bytes.Buffer
		w.Reset(&b)
		_, _ = w.Write([]byte(text(file))) // a Buffer takes everything
		_ = w.Close()
		sources[module] = base64.StdEncoding.EncodeToString(b.Bytes())
	}
	return sources
}

// Since is what NBHUSH_EPOCH says to a kernel that got its values when the agent's
// epoch was this one, which is kept in the file at path: it asks for changes
// between two cells when the file says something else.
func Since(epoch uint64, path string) string {
	return hex.EncodeToString(binary.LittleEndian.AppendUint64(nil, epoch)) + ":" + path
}

func text(name string) string {
	src, err := bootstraps.ReadFile("bootstrap/" + name)
	if err != nil {
		panic(err) // embedded: cannot be
	}
	return string(src)
}

// literal returns strings as a literal: those of JSON, in ASCII, are Python's too.
func literal(v any) string {
	lit, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings: cannot be
	}
	return string(lit)
}
