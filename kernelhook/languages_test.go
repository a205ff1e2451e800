package kernelhook

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook/inject"
)

// otherKernel is a real kernel of another language.
type otherKernel struct {
	lang   string   // language_info.name
	argv   []string // the program first
	print  string   // a cell that prints an expression, {}
	length string   // a cell that prints its length
}

// A kernel of another language has its secrets in the environment, asks for
// others with nbhush get, and shows none; Set's code puts one into its
// environment while it runs.
func TestOtherKernels(t *testing.T) {
	r := newRig(t)
	bin := filepath.Dir(r.python)
	jjava := func(jar string) string { return filepath.Join(bin, "..", "share", "jupyter", "kernels", "java", jar) }
	for _, k := range []otherKernel{
		{"bash", []string{r.python, "-m", "bash_kernel", "-f", "{connection_file}"}, `printf 'X=%s.\n' {}`, `y={}; echo ${#y}`},
		{"R", []string{"R", "--slave", "-e", "IRkernel::main()", "--args", "{connection_file}"}, `cat("X=", {}, ".\n", sep = "")`, `cat(nchar({}), "\n")`},
		{"typescript", []string{filepath.Join(bin, "deno"), "jupyter", "--kernel", "--conn", "{connection_file}"}, `console.log("X=" + {} + ".")`, "console.log({}.length)"},
		{"python", []string{r.python, "-m", "xpython_launcher", "-f", "{connection_file}"}, `print("X=" + {} + ".")`, `print(len({}))`},
		{"Java", []string{"java", "-jar", jjava("jjava-launcher.jar"), jjava("jjava.jar"), "{connection_file}"}, `System.out.println("X=" + {} + ".");`, `System.out.println({}.length());`},
		{"octave", []string{r.python, "-m", "octave_kernel", "-f", "{connection_file}"}, `printf("X=%s.\n", {})`, `printf("%d\n", length({}))`},
		{
			"go",
			[]string{"gonb", "--kernel", "{connection_file}"},
			"func first[T any](x T, _ ...error) T { return x }\n%%\nfmt.Printf(\"X=%s.\\n\", first({}))", "%%\nfmt.Println(len({}))",
		},
		{"Rust", []string{"evcxr_jupyter", "--control_file", "{connection_file}"}, `println!("X={0}.", {});`, `println!("{0}", {}.len());`},
	} {
		t.Run(k.lang, func(t *testing.T) {
			needs := []string{k.argv[0]}
			if k.lang == "octave" {
				needs = append(needs, "octave-cli")
			}
			for _, program := range needs {
				if _, err := exec.LookPath(program); err != nil {
					missing(t, program)
				}
			}
			r := newRig(t)
			told := r.script("languages.py", k.job(t))
			if told[0]["name"] != k.lang {
				t.Errorf("the language calls itself %v", told[0]["name"])
			}
			by := byWhat(t, told[1:])
			length := strconv.Itoa(len(r.values["ASKED"].Value))
			for what, want := range map[string]string{
				"granted": "X=[nbhush:TOKEN].", "set": "", "after set": "X=[nbhush:ASKED].", "length": length, "ask": "X=[nbhush:ASKED].",
			} {
				o := by[what]
				if o == nil {
					t.Errorf("%s: not told", what)
					continue
				}
				if text := strings.TrimSpace(o["text"].(string)); text != want || o["status"] != "ok" {
					t.Errorf("%s: %q, want %q; %v", what, text, want, o)
				}
			}
			if all := by["denied"]["text"].(string) + by["denied"]["error"].(string); !strings.Contains(all, "OTHER") {
				t.Errorf("denied: %v", by["denied"])
			}
		})
	}
}

// job returns what languages.py is to do.
func (k otherKernel) job(t *testing.T) string {
	t.Helper()
	l, ok := inject.LanguageOf(k.lang)
	if !ok {
		t.Fatalf("%s has no row", k.lang)
	}
	dir, err := os.MkdirTemp("", "kh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "nbhush")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	ask := strings.ReplaceAll(l.Ask("ASKED"), "nbhush", program)
	if l.Name == "python" { // there it is a module
		ask = strings.Replace(l.Ask("ASKED"), "nbhush", `__import__("nbhush")`, 1)
	}
	cell := func(code, x string) string { return strings.Replace(code, "{}", x, 1) }
	job, err := json.Marshal(map[string]any{
		"argv": k.argv,
		"cells": [][2]string{
			{"granted", cell(k.print, l.Read("TOKEN"))},
			{"set", l.Set(program, "ASKED")},
			{"after set", cell(k.print, l.Read("ASKED"))},
			{"length", cell(k.length, l.Read("ASKED"))},
			{"ask", cell(k.print, ask)},
			{"denied", l.Set(program, secret.Name("OTHER"))},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(job)
}

// missing skips a test for a program that is not there, except where all have to be.
func missing(t *testing.T, program string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
}

// A kernel that knows no ipc gets tcp: where that is known at once, elsewhere
// when it ended before it could be reached.
func TestTransportBehind(t *testing.T) {
	for program, want := range map[string]string{
		"/usr/bin/python3.11": "ipc", "R": "ipc", "/opt/julia/bin/julia": "ipc",
		"deno": "tcp tcp", `/home/me/.deno/bin/deno`: "tcp tcp", "java": "tcp tcp", "evcxr_jupyter": "tcp tcp",
		"bash": "ipc tcp", "xcpp": "ipc tcp", "gonb": "ipc tcp",
	} {
		if got := strings.Join(transports([]string{program, "x"}, false), " "); got != want {
			t.Errorf("%s: %s, want %s", program, got, want)
		}
		if got := transports([]string{program, "x"}, true); !slices.Equal(got, []string{"ipc"}) {
			t.Errorf("%s with CURVE in front: %v", program, got)
		}
	}
	r := newRig(t)
	deno := filepath.Join(filepath.Dir(r.python), "deno")
	if _, err := exec.LookPath(deno); err != nil {
		missing(t, deno)
	}
	for name, argv := range map[string][]string{
		"unknown": {"sh", "-c", `exec "$0" jupyter --kernel --conn "$1"`, deno, "{connection_file}"},
		"known":   {deno, "jupyter", "--kernel", "--conn", "{connection_file}"},
	} {
		job, err := json.Marshal(map[string]any{"argv": argv, "cells": [][2]string{{"granted", `console.log(Deno.env.get("TOKEN"))`}}})
		if err != nil {
			t.Fatal(err)
		}
		told := r.script("languages.py", string(job))
		if got := told[len(told)-1]["text"]; got != "[nbhush:TOKEN]\n" {
			t.Errorf("%s: %v", name, told)
		}
		r.gone()
	}
}
