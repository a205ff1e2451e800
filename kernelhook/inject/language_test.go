package inject

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/nbhush/nbhush/agent/secret"
)

// engine runs code of a language without a kernel: what a kernel would execute.
type engine struct {
	lang string
	argv []string              // FILE is the code's file
	file string                // its name
	wrap func(string) string   // makes a program of statements
	show func(x string) string // statements that write the bytes of x, in hex or as they are
	hex  bool
	own  string // instead of Read, where the engine is not the kernel's
	utf8 bool   // strings are characters
}

func engines(python string) []engine {
	plain := func(code string) string { return code }
	return []engine{
		{
			lang: "python", argv: []string{python, "FILE"}, file: "x.py", wrap: plain,
			show: func(x string) string { return "import os, sys; sys.stdout.buffer.write(os.fsencode(" + x + "))" },
		},
		{lang: "bash", argv: []string{"bash", "FILE"}, file: "x.sh", wrap: plain, show: func(x string) string { return "printf %s " + x }},
		{
			lang: "r", argv: []string{"Rscript", "--vanilla", "FILE"}, file: "x.R", wrap: plain, hex: true,
			show: func(x string) string { return "cat(paste(charToRaw(" + x + "), collapse = ''))" },
		},
		{
			lang: "octave", argv: []string{"octave-cli", "--norc", "--quiet", "FILE"}, file: "x.m", wrap: plain, hex: true,
			show: func(x string) string { return `printf("%02x", double(` + x + `))` },
		},
		{
			lang: "typescript", argv: []string{filepath.Join(filepath.Dir(python), "deno"), "run", "-A", "--no-check", "FILE"}, file: "x.ts", utf8: true, wrap: plain,
			show: func(x string) string { return "await Deno.stdout.write(new TextEncoder().encode(" + x + "))" },
		},
		{
			lang: "javascript", argv: []string{"node", "FILE"}, file: "x.js", utf8: true, wrap: plain, own: `process.env["LANG_TEST"]`,
			show: func(x string) string { return "process.stdout.write(" + x + ")" },
		},
		{
			lang: "go", argv: []string{"go", "run", "FILE"}, file: "x.go",
			wrap: func(code string) string {
				head, body := "", "" // as gonb does
				for line := range strings.Lines(code) {
					if strings.HasPrefix(line, "fmt.Print") {
						body += line
					} else {
						head += line
					}
				}
				return "package main\nimport \"fmt\"\n" + head + "\nfunc main() {\n_ = fmt.Print\n" + body + "\n}\n"
			},
			show: func(x string) string { return "fmt.Print(" + x + ")" },
		},
		{
			lang: "rust", argv: []string{"sh", "-c", `rustc --edition 2021 -o "$0.out" "$0" && "$0.out"`, "FILE"}, file: "x.rs", utf8: true,
			wrap: func(code string) string { return "fn main() {\n" + code + "\n}\n" },
			show: func(x string) string { return `print!("{}", ` + x + `);` },
		},
		{
			lang: "java", argv: []string{"java", "-Dfile.encoding=UTF-8", "FILE"}, file: "X.java", utf8: true,
			wrap: func(code string) string {
				return "public class X { public static void main(String[] a) throws Exception {\n" + code + "\n} }\n"
			},
			show: func(x string) string {
				return "System.out.write((" + x + ").getBytes(java.nio.charset.StandardCharsets.UTF_8)); System.out.flush();"
			},
		},
	}
}

// trouble is a text with every byte but zero, or, for languages whose strings
// are characters, with every kind of character, and newlines at its end.
func trouble(chars bool) string {
	var b strings.Builder
	for i := 1; i < 256; i++ {
		if chars {
			b.WriteRune(rune(i))
		} else {
			b.WriteByte(byte(i))
		}
	}
	return b.String() + "7é€\U0001f600 ${HOME} $(id) `id` \\u000a %s @lit@ '\"\n\n"
}

// Set puts every byte of a value into the kernel, from a program at a path that
// has all that is special to a shell or a literal; Put puts every byte of a literal there.
// The value is in no code.
func TestLanguages(t *testing.T) {
	python := os.Getenv("NBHUSH_TEST_PYTHON")
	if python == "" {
		python = "python3"
	}
	for _, e := range engines(python) {
		t.Run(e.lang, func(t *testing.T) {
			t.Parallel()
			if testing.Short() {
				t.Skip("starts interpreters and compilers")
			}
			needs := e.argv[0]
			if e.lang == "rust" {
				needs = "rustc"
			}
			if _, err := exec.LookPath(needs); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatalf("%s is not installed", needs)
				}
				t.Skipf("%s is not installed", needs)
			}
			l, ok := LanguageOf(strings.ToUpper(e.lang))
			if !ok {
				t.Fatal("no such language")
			}
			value := trouble(e.utf8)
			dir := t.TempDir()
			program := filepath.Join(dir, "a $(b) `c` \\u0022 'd' \"e\" %f é;&|*")
			valueFile := filepath.Join(dir, "value")
			script := "#!/bin/sh\n[ \"$*\" = 'get LANG_TEST' ] && exec cat '" + valueFile + "'\necho 'it failed' >&2\nexit 1\n"
			syscall.ForkLock.RLock() // a fork now would hold the program open for writing
			err := os.WriteFile(program, []byte(script), 0o700)
			syscall.ForkLock.RUnlock()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(valueFile, []byte(value), 0o600); err != nil {
				t.Fatal(err)
			}
			read := l.Read("LANG_TEST")
			if e.own != "" {
				read = e.own
			}
			if got := e.run(t, dir, l.Set(program, "LANG_TEST")+"\n"+e.show(read), true); got != value {
				t.Errorf("the value is %q, want %q", got, value)
			}
			if got := e.run(t, dir, l.Put("LANG_TEST", value)+"\n"+e.show(read), true); got != value {
				t.Errorf("the literal %s, put there, is %q", l.Quote(value), got)
			}
			// What fails is said so, and what an environment cannot hold is not shown.
			out := e.run(t, dir, l.Set(program, "OTHER_TEST"), false)
			if !strings.Contains(out, "failed") {
				t.Errorf("a failing program: %q", out)
			}
			if err := os.WriteFile(valueFile, []byte("part-one\x00part-two"), 0o600); err != nil {
				t.Fatal(err)
			}
			if out := e.run(t, dir, l.Set(program, "LANG_TEST"), false); strings.Contains(out, "part-") {
				t.Errorf("a value that an environment cannot hold is shown: %q", out)
			}
		})
	}
}

// run returns what the code writes, on both outputs if it need not be good.
func (e engine) run(t *testing.T, dir, code string, good bool) string {
	t.Helper()
	file := filepath.Join(dir, e.file)
	if err := os.WriteFile(file, []byte(e.wrap(code)), 0o600); err != nil {
		t.Fatal(err)
	}
	argv := append([]string(nil), e.argv...)
	for i := range argv {
		argv[i] = strings.ReplaceAll(argv[i], "FILE", file)
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "LANG_TEST=", "GOFLAGS=", "GOWORK=off", "GO111MODULE=off")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if !good {
		return out.String() + errs.String()
	}
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, errs.String(), code)
	}
	if e.hex {
		b, err := hex.DecodeString(out.String())
		if err != nil {
			t.Fatalf("%v: %s", err, out.String())
		}
		return string(b)
	}
	return out.String()
}

// unquote reads a literal by a grammar that is not ours, for the languages that
// have one in common with Go's library.
var unquote = map[string]func(string) (string, error){
	"go": strconv.Unquote,
	"julia": func(lit string) (string, error) { // Go's, and a $ has to be escaped
		if strings.Contains(strings.ReplaceAll(strings.ReplaceAll(lit, `\\`, ""), `\$`, ""), "$") {
			return "", strconv.ErrSyntax
		}
		return strconv.Unquote(strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(lit, `\\`, `\134`), `\$`, "$"), `\134`, `\\`))
	},
	"typescript": unquoteJSON,
	"java":       unquoteJSON,
	"scala":      unquoteJSON,
}

func unquoteJSON(lit string) (s string, err error) {
	err = json.Unmarshal([]byte(lit), &s)
	return s, err
}

func FuzzQuote(f *testing.F) {
	f.Add(trouble(false))
	f.Add(trouble(true))
	f.Add("\\\\$\\\"")
	f.Fuzz(func(t *testing.T, text string) {
		for _, l := range languages {
			lit := l.Quote(text)
			for _, c := range lit {
				if c < ' ' || c > '~' {
					t.Fatalf("%s: %q is not ASCII in one line", l.Name, lit)
				}
			}
			read := unquote[l.Name]
			if read == nil {
				continue
			}
			got, err := read(lit)
			want := text
			if l.Name != "go" && l.Name != "julia" && !utf8.ValidString(text) {
				continue // such a text is none in these
			}
			if err != nil || got != want {
				t.Errorf("%s: %s is %q, %v, want %q", l.Name, lit, got, err, want)
			}
		}
	})
}

// Every language has all of it, under every name that it goes by, and a line in
// the README.
func TestLanguageTable(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, l := range languages {
		for _, n := range append(l.also, l.Name) {
			if got, ok := LanguageOf(strings.ToUpper(n)); !ok || got.Name != l.Name || seen[n] {
				t.Errorf("%s is %q", n, got.Name)
			}
			seen[n] = true
		}
		if ask := l.Ask("NAME"); !strings.Contains(string(readme), "`"+ask+"`") {
			t.Errorf("%s: the README lacks %s", l.Name, ask)
		}
		for what, code := range map[string]string{"set": l.Set("/bin/nbhush", "SOME_NAME"), "put": l.Put("SOME_NAME", "text"), "read": l.Read("SOME_NAME"), "ask": l.Ask("SOME_NAME")} {
			if !strings.Contains(code, "SOME_NAME") || regexp.MustCompile(`@[a-z]+@`).MatchString(code) {
				t.Errorf("%s, %s: %s", l.Name, what, code)
			}
		}
	}
	if _, ok := LanguageOf("cobol"); ok {
		t.Error("a language that has no row")
	}
	var name secret.Name = "A"
	l, _ := LanguageOf("R")
	if got, want := l.Ask(name), `system2("nbhush", c("get", "A"), stdout = TRUE)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
