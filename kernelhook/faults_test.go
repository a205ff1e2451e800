package kernelhook

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// What goes wrong between a client and its kernel has the outcome that it has
// without the hook: a message that is sent again, forged or cut changes nothing and
// gets no answer; a client that is killed leaves a kernel that others can use; a
// kernel that is killed ends the hook with its signal.
func TestFaults(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	by := map[string]map[string]any{}
	for _, mode := range []string{"bare", "hooked"} {
		by[mode] = map[string]any{}
		for _, o := range r.script("faults.py", mode) {
			by[mode][o["what"].(string)] = o["got"]
		}
	}
	for what, want := range map[string]any{
		"replayed":                    []any{true, 1., 0., 0.},
		"forged":                      []any{1., 0.},
		"truncated":                   []any{1., 0.},
		"the next one":                []any{1., 2.},
		"vanished while it printed":   []any{-9., 100.},
		"vanished while it was asked": []any{-9., "'asked'"},
		"vanished in a frame":         7.,
		"kernel killed":               -9.,
		"restarted":                   "again\n",
	} {
		for mode, got := range by {
			if !reflect.DeepEqual(got[what], want) {
				t.Errorf("%s, %s: got %v, want %v", mode, what, got[what], want)
			}
		}
	}
	if told, err := os.ReadFile(filepath.Join(r.agent, "refused")); err != nil || !strings.Contains(string(told), sentAgain) {
		t.Errorf("the agent was told %q (%v)", told, err)
	}
	r.gone()
}

// maxGrowth is what strangers on all five ports together may make the hook
// take, in MiB: the cap of a message, 1 MiB, for each of the connections that send
// 64 MiB at once, and as much again for the race detector.
const maxGrowth = 32

// Web pages and other users get the greeting that whoever connects gets, and
// nothing else; what they send takes no memory beyond the cap.
func TestPorts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	by := map[string]any{}
	for _, o := range r.script("ports.py") {
		by[o["what"].(string)] = o["got"]
	}
	for _, what := range []string{"get", "preflight", "post", "post of a handshake", "websocket", "http2", "tls"} {
		if want := []any{true, true, true}; !reflect.DeepEqual(by[what], want) {
			t.Errorf("%s: greeted, closed, short: %v", what, by[what])
		}
	}
	if want := map[string]any{"connection file": "refused", "directory behind": "refused", "answers": 0., "done": true}; !reflect.DeepEqual(by["another user"], want) {
		t.Errorf("another user: %v", by["another user"])
	}
	for _, what := range []string{"memory, requests", "memory, another user"} {
		grown, ok := by[what].(float64)
		t.Logf("%s: %.1f MiB", what, grown)
		if !ok || grown > maxGrowth {
			t.Errorf("%s: %v MiB", what, by[what])
		}
	}
	if want := []any{"ok", true}; !reflect.DeepEqual(by["the kernel"], want) {
		t.Errorf("the kernel afterwards: %v", by["the kernel"])
	}
}

// A clock that steps, back or forward, changes no deadline of the hook: they are
// all counted on the monotonic clock, which a time.Time of Go carries along as
// long as nobody makes a calendar time of it. Calendar time is the date of
// messages of the hook's own, the age of directories that nobody has locked, and
// the order of connection files.
func TestClockSteps(t *testing.T) {
	allowed := map[string][]string{
		"UTC": {"proxy/iopub.go", "proxy/greet.go", "attach/client.go"}, "Format": {"proxy/iopub.go", "proxy/greet.go", "attach/client.go"},
		"ModTime": {"dir.go", "attach/find.go"}, // the latest connection file comes first
		"Unix":    {"zsock/dial.go"},            // time.Unix(1, 0), a deadline that has passed
	}
	calendar := []string{"UTC", "Format", "ModTime", "Local", "In", "Unix", "UnixMilli", "UnixMicro", "UnixNano", "Round", "Truncate", "Date", "Parse", "Clock"}
	files, err := filepath.Glob("*.go")
	more, err2 := filepath.Glob("*/*.go")
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range append(files, more...) {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "kernelspec") {
			continue // kernelspec runs no kernel
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(tree.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"time"` }) {
			continue
		}
		if tree, err = parser.ParseFile(token.NewFileSet(), file, nil, 0); err != nil {
			t.Fatal(err)
		}
		seen++
		ast.Inspect(tree, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(calendar, s.Sel.Name) && !slices.Contains(allowed[s.Sel.Name], filepath.ToSlash(file)) {
				if x, ok := s.X.(*ast.Ident); !ok || x.Name != "wire" { // wire.Parse is of messages
					t.Errorf("%s: %s is of the calendar", file, s.Sel.Name)
				}
			}
			return true
		})
	}
	if seen < 8 {
		t.Errorf("only %d files use time", seen)
	}
}
