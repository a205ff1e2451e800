package kernelspec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const ipykernel = `{
 "argv": [
  "python",
  "-m",
  "ipykernel_launcher",
  "-f",
  "{connection_file}"
 ],
 "display_name": "Python 3 (ipykernel)",
 "language": "python",
 "metadata": {
  "debugger": true,
  "supported_encryption": [
   "curve"
  ]
 },
 "kernel_protocol_version": "5.5"
}
`

func TestWrapChangesOnlyWhatItSays(t *testing.T) {
	w := wrapping{binary: "/opt/nbhush", name: "ir", python: "/env/bin/python", dir: ""}
	for name, tt := range map[string]struct {
		w         wrapping
		src, want string
	}{
		"one line": {
			w, `{"argv": ["R", "--slave", "{connection_file}"], "language": "R"}`,
			`{"env": {"NBHUSH_KERNEL_SPEC": "ir", "NBHUSH_KERNEL_LANGUAGE": "R"},"argv": ["/opt/nbhush","kernel","-f","{connection_file}","--","R", "--slave", "{connection_file}"], "language": "R"}`,
		},
		"numbers, order, escapes and unknown fields stay": {
			w, "{\r\n\t\"x\":1.10e+05,\"argv\":[ \"R\" ],\"y\":\"\\u00e9\\/\",\"z\":123456789012345678901234567890}",
			"{\r\n\t\"x\":1.10e+05,\"env\": {\"NBHUSH_KERNEL_SPEC\": \"ir\", \"NBHUSH_KERNEL_LANGUAGE\": \"\"},\r\n\t\"argv\":[ \"/opt/nbhush\", \"kernel\", \"-f\", \"{connection_file}\", \"--\", \"R\" ],\"y\":\"\\u00e9\\/\",\"z\":123456789012345678901234567890}",
		},
		"encryption": {
			w, `{"argv": ["R"], "metadata": { "supported_encryption": ["curve"] }}`,
			`{"env": {"NBHUSH_KERNEL_SPEC": "ir", "NBHUSH_KERNEL_LANGUAGE": ""},"argv": ["/opt/nbhush","kernel","-f","{connection_file}","--","R"], "metadata": { "supported_encryption": ["curve"] }}`,
		},
		"resource folder": {
			wrapping{binary: "/opt/nbhush", name: "x", dir: "/usr/share/x"},
			`{"argv": ["{resource_dir}/run", "a", "-r={resource_dir}"]}`,
			`{"env": {"NBHUSH_KERNEL_SPEC": "x", "NBHUSH_KERNEL_LANGUAGE": ""},"argv": ["/opt/nbhush","kernel","-f","{connection_file}","--","/usr/share/x/run", "a", "-r=/usr/share/x"]}`,
		},
		"empty env": {
			wrapping{binary: "/opt/nbhush", name: "python3"},
			`{"env": {}, "argv": ["/p"], "language": "python"}`,
			`{"env": {"NBHUSH_KERNEL_SPEC": "python3", "NBHUSH_KERNEL_LANGUAGE": "python"}, "argv": ["/opt/nbhush","kernel","-f","{connection_file}","--","/p"], "language": "python"}`,
		},
		"own env": {
			wrapping{binary: "/opt/nbhush", name: "python3"},
			`{"env": { "A": "b"}, "argv": ["/p"], "language": "python"}`,
			`{"env": { "NBHUSH_KERNEL_SPEC": "python3", "NBHUSH_KERNEL_LANGUAGE": "python", "A": "b"}, "argv": ["/opt/nbhush","kernel","-f","{connection_file}","--","/p"], "language": "python"}`,
		},
		"a copy of another spec's env": {
			wrapping{binary: "/opt/nbhush", name: "mine"},
			`{"env": {"A": "b", "NBHUSH_KERNEL_SPEC": "python3"}, "argv": ["/p"], "language": "python"}`,
			`{"env": {"NBHUSH_KERNEL_LANGUAGE": "python","A": "b", "NBHUSH_KERNEL_SPEC": "mine"}, "argv": ["/opt/nbhush","kernel","-f","{connection_file}","--","/p"], "language": "python"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := parse([]byte(tt.src))
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.wrap(tt.w)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Error(diff)
			}
			again, err := parse(got)
			if err != nil {
				t.Fatal(err)
			}
			if again.binary() != tt.w.binary {
				t.Errorf("binary %q", again.binary())
			}
			if out, err := again.wrap(tt.w); err == nil {
				t.Errorf("wrapped twice: %s", out)
			}
		})
	}
}

func TestWrapOfIpykernelsSpec(t *testing.T) {
	f, err := parse([]byte(ipykernel))
	if err != nil {
		t.Fatal(err)
	}
	if !f.needsPython() {
		t.Error("python does not have to be found")
	}
	got, err := f.wrap(wrapping{binary: "/opt/nbhush", name: "python3", python: "/env/bin/python"})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer(
		" \"argv\": [\n", " \"env\": {\"NBHUSH_KERNEL_SPEC\": \"python3\", \"NBHUSH_KERNEL_LANGUAGE\": \"python\"},\n \"argv\": [\n  \"/opt/nbhush\",\n  \"kernel\",\n  \"-f\",\n  \"{connection_file}\",\n  \"--\",\n",
		`"python",`+"\n  \"-m\"", `"/env/bin/python",`+"\n  \"-m\"",
	).Replace(ipykernel)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestUnwrapKeepsLaterEdits(t *testing.T) {
	for name, tt := range map[string]struct{ src, edit, to, want string }{
		"title": {
			`{"argv": ["/p", "x"], "display_name": "A", "language": "python"}`, `"A"`, `"B"`,
			`{"argv": ["/p", "x"], "display_name": "B", "language": "python"}`,
		},
		"env": {
			`{"argv": ["/p"], "language": "python"}`, `"NBHUSH_KERNEL_LANGUAGE": "python"`, `"NBHUSH_KERNEL_LANGUAGE": "python", "A": "b"`,
			`{"env": {"A": "b"},"argv": ["/p"], "language": "python"}`,
		},
		"env in between": {
			`{"argv": ["/p"], "language": "python"}`, `"NBHUSH_KERNEL_LANGUAGE"`, `"A": "b", "NBHUSH_SPEC": "python3", "NBHUSH_KERNEL_LANGUAGE"`,
			`{"env": {"A": "b"},"argv": ["/p"], "language": "python"}`,
		},
		"argument": {
			`{"argv": ["/p", "x"], "language": "R"}`, `"x"`, `"x", "y"`,
			`{"argv": ["/p", "x", "y"], "language": "R"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := parse([]byte(tt.src))
			if err != nil {
				t.Fatal(err)
			}
			out, err := f.wrap(wrapping{binary: "/opt/nbhush", name: "python3"})
			if err != nil {
				t.Fatal(err)
			}
			edited, err := parse([]byte(strings.Replace(string(out), tt.edit, tt.to, 1)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(edited.unwrap())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseNamesWhatIsWrong(t *testing.T) {
	for src, want := range map[string]string{
		"":                                    "not a JSON object",
		"[]":                                  "not a JSON object",
		`{"argv": ["x"]`:                      "EOF",
		`{"argv": ["x"]} {}`:                  "there is more behind",
		`{"argv": "x"}`:                       "a list was expected",
		`{"argv": []}`:                        "argv is empty",
		`{"argv": ["x", 1]}`:                  "a list of strings",
		`{}`:                                  "there is no argv",
		`{"argv": ["x"], "argv": ["y"]}`:      "duplicate",
		`{"argv": ["x"], "n": {"a":1,"a":2}}`: "duplicate",
		`{"argv": ["x"], "env": []}`:          "env: an object was expected",
		`{"argv": ["x"], "metadata": null}`:   "metadata: an object was expected",
		"\ufeff" + `{"argv": ["x"]}`:          "not a JSON object",
		`{"argv": ["x"], "n": NaN}`:           "invalid",
	} {
		if f, err := parse([]byte(src)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", src, f, err, want)
		}
	}
}

// FuzzKernelJSON holds for any kernel.json that Enable changes nothing but
// argv and env for who reads it as JSON, and that Disable gives
// back the same bytes.
func FuzzKernelJSON(f *testing.F) {
	f.Add([]byte(strings.Replace(ipykernel, `"python",`, `"/env/bin/python",`, 1)), "python3")
	f.Add([]byte(`{"argv":["R"],"env":{},"metadata":{"supported_encryption":1}}`), "ir")
	f.Add([]byte(`{"metadata":{},"argv":["/p","{resource_dir}"],"language":"python","x":[1,{"argv":2}]}`), "python3.12")
	f.Add([]byte(`{"argv": ["nbhush", "kernel", "-f", "{connection_file}", "--", "x"]}`), "x")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, src []byte, name string) {
		file := filepath.Join(dir, "kernel.json")
		must(t, os.WriteFile(file, src, 0o644))
		k := Kernels{Binary: "/opt/nb hush/nbhush", Record: filepath.Join(dir, "record.json"), Jupyter: "/env/bin/jupyter"}
		o, err := k.enable(newSpec(name, dir, nil))
		if err != nil {
			t.Fatal(err)
		}
		got := []byte(read(t, file))
		if o.Did != DidWrap {
			if string(got) != string(src) {
				t.Fatalf("%s, but now %q", o.Did, got)
			}
			return
		}
		was, err := parse(src)
		if err != nil {
			t.Fatal(err)
		}
		if was.binary() != "" { // it was wrapped before: then only the binary is another one
			return
		}
		sameSpec(t, src, got)
		if o, err := k.disable(name, file); err != nil || o.Did != DidRestore {
			t.Fatalf("%v, %v", o, err)
		}
		if got := read(t, file); got != string(src) {
			t.Fatalf("restored %q, want %q", got, src)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Fatalf("left behind: %v, %v", entries, err)
		}
	})
}

// sameSpec fails unless the two are the same but for what wrap says.
func sameSpec(t *testing.T, src, got []byte) {
	t.Helper()
	var was, is map[string]any
	must(t, json.Unmarshal(src, &was))
	must(t, json.Unmarshal(got, &is))
	before, after := was["argv"].([]any), is["argv"].([]any)
	if len(after) != len(before)+1+len(own) || !cmp.Equal(before[1:], after[len(own)+2:]) {
		t.Fatalf("argv %v of %v", after, before)
	}
	for _, m := range []map[string]any{was, is} {
		delete(m, "argv")
		if env, ok := m["env"].(map[string]any); ok {
			delete(env, envSpec)
			delete(env, envLanguage)
			if len(env) == 0 {
				delete(m, "env")
			}
		}
	}
	if diff := cmp.Diff(was, is); diff != "" {
		t.Fatal(diff)
	}
}
