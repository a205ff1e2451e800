package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// suite is another project's tests, in its source distribution.
type suite struct {
	name string
	args []string // of pytest
	pass int      // that many pass at least
}

var suites = []suite{
	{"ipykernel", []string{
		"tests", "-o", "addopts=", "-o", "filterwarnings=", "-o", "log_cli=false", "--timeout=60",
		// These run no kernel through a spec: they test ipykernel's parts in their own process.
		"--ignore=tests/inprocess", "--ignore=tests/test_ipkernel_direct.py", "--ignore=tests/test_kernel_direct.py",
		"--ignore=tests/test_io.py", "--ignore=tests/test_jsonutil.py", "--ignore=tests/test_zmq_shell.py", "--ignore=tests/test_matplotlib_eventloops.py",
	}, 40},
	{"nbclient", []string{"tests", "-o", "addopts=", "-o", "filterwarnings=", "--timeout=120"}, 60},
	{"papermill", []string{
		"papermill/tests", "-o", "addopts=", "--timeout=120",
		// These need services of clouds and start no kernel.
		"--ignore=papermill/tests/test_adl.py", "--ignore=papermill/tests/test_gcs.py", "--ignore=papermill/tests/test_hdfs.py",
		"--ignore=papermill/tests/test_s3.py", "--ignore=papermill/tests/test_abs.py",
	}, 100},
}

// different are tests that fail behind the hook, each with the reason.
var different = map[string]string{
	"tests.test_kernel::test_parent_header_and_ident": "it prints the kernel's private _parent_ident, in which the hook's own identity stands before the client's",
}

// TestSuites runs the tests of ipykernel, nbclient and papermill with the bare
// python3 spec and with the wrapped one: what passes bare passes behind the hook.
// A test that differs is run twice more on both sides, since some depend on time.
func TestSuites(t *testing.T) {
	dir := os.Getenv("NBHUSH_TEST_SUITES")
	if dir == "" {
		t.Skip("NBHUSH_TEST_SUITES, where make suites keeps their sources, is not set")
	}
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			sources, err := filepath.Glob(filepath.Join(dir, s.name+"-*.tar.gz"))
			if err != nil || len(sources) != 1 {
				t.Fatalf("one source distribution of %s is wanted, there are %d: %v", s.name, len(sources), err)
			}
			w := newWorld(t)
			w.mkdir("suite")
			w.run(exec.Command("tar", "-xf", sources[0], "-C", filepath.Join(w.dir, "suite"), "--strip-components", "1"))
			w.env = append(w.env, "PYTHONPATH="+filepath.Join(dir, "site"), "PYTHONDONTWRITEBYTECODE=1",
				"JUPYTER_PREFER_ENV_PATH=0") // the spec of this world, not that of the virtual environment, which others use
			w.setSecret("CANARY", rand.Text())
			spec, _ := json.Marshal(map[string]any{
				"argv":         []string{w.python, "-m", "ipykernel_launcher", "-f", "{connection_file}"},
				"display_name": "Python 3", "language": "python", "metadata": map[string]any{"debugger": true},
			})
			w.mkdir(".local/share/jupyter/kernels/python3")
			w.write(".local/share/jupyter/kernels/python3/kernel.json", string(spec))
			w.compareSuite(s)
		})
	}
}

func (w *world) compareSuite(s suite) {
	w.Helper()
	bare, bareTime := w.runSuite(s.args)
	w.nbhush("", nil, "kernels", "enable", "python3")
	if spec := w.read(".local/share/jupyter/kernels/python3/kernel.json"); !bytes.Contains(spec, []byte(w.program)) {
		w.Fatalf("another spec was wrapped: %s", spec)
	}
	hooked, hookedTime := w.runSuite(s.args)
	for range 2 {
		var differ []string
		for name := range bare { // pytest collects the same tests on both sides
			if bare[name] != hooked[name] {
				differ = append(differ, name[strings.LastIndex(name, "::")+2:])
			}
		}
		if len(differ) == 0 {
			break
		}
		slices.Sort(differ)
		w.Logf("again: %s", strings.Join(differ, ", "))
		again := append(slices.Clone(s.args), "-k", strings.Join(testNames(differ), " or "))
		for name, outcome := range first(w.runSuite(again)) {
			if outcome == "passed" {
				hooked[name] = outcome
			}
		}
		w.nbhush("", nil, "kernels", "disable")
		for name, outcome := range first(w.runSuite(again)) {
			if outcome == "passed" {
				bare[name] = outcome
			}
		}
		w.nbhush("", nil, "kernels", "enable", "python3")
	}
	for name, why := range different {
		if bare[name] == "passed" && hooked[name] != "passed" {
			w.Logf("%s differs, as is known: %s", name, why)
			hooked[name] = bare[name]
		}
	}
	if diff := cmp.Diff(bare, hooked); diff != "" {
		w.Errorf("outcomes differ (-bare +hooked):\n%s", diff)
	}
	count := map[string]int{}
	for _, outcome := range bare {
		count[outcome]++
	}
	w.Logf("%s: %v; %.0f s bare, %.0f s behind the hook", s.name, count, bareTime.Seconds(), hookedTime.Seconds())
	if count["passed"] < s.pass {
		w.Errorf("only %d tests passed on the bare kernel", count["passed"])
	}
}

func first[A, B any](a A, _ B) A { return a }

// testNames returns the names of tests without their parameters.
func testNames(tests []string) (out []string) {
	for _, t := range tests {
		t, _, _ = strings.Cut(t, "[")
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// runSuite returns the outcome of each test.
func (w *world) runSuite(args []string) (map[string]string, time.Duration) {
	w.Helper()
	report := filepath.Join(w.dir, "report.xml")
	_ = os.Remove(report)
	cmd := w.command("suite", w.python, append([]string{"-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml", report}, args...)...)
	began := time.Now()
	out, _ := cmd.CombinedOutput() // some tests fail on the bare kernel too
	took := time.Since(began)
	var doc struct {
		Cases []struct {
			Class   string    `xml:"classname,attr"`
			Name    string    `xml:"name,attr"`
			Failure *struct{} `xml:"failure"`
			Error   *struct{} `xml:"error"`
			Skipped *struct{} `xml:"skipped"`
		} `xml:"testsuite>testcase"`
	}
	b, err := os.ReadFile(report)
	if err == nil {
		err = xml.Unmarshal(b, &doc)
	}
	if err != nil {
		w.Fatalf("pytest: %v\n%s", err, out)
	}
	outcomes := map[string]string{}
	for _, c := range doc.Cases {
		outcome := "passed"
		switch {
		case c.Failure != nil:
			outcome = "failed"
		case c.Error != nil:
			outcome = "error"
		case c.Skipped != nil:
			outcome = "skipped"
		}
		outcomes[c.Class+"::"+c.Name] = outcome
	}
	return outcomes, took
}
