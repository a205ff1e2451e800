package kernelspec

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newKernels is a user with a data folder, an environment ENV and a folder of
// the system, and with a made-up jupyter that lists the first spec of each name there.
func newKernels(t *testing.T) (k Kernels, root string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the made-up jupyter is a shell script")
	}
	root = t.TempDir()
	k = Kernels{
		Jupyter: filepath.Join(root, "env", "bin", "jupyter"),
		Dirs: Dirs{
			Data:       filepath.Join(root, "home", "data"),
			systemData: []string{filepath.Join(root, "usr", "share", "jupyter")},
		},
		Binary: standIn(t, filepath.Join(root, "nbhush")),
		Record: filepath.Join(root, "home", "nbhush", "kernels.json"),
	}
	for _, dir := range []string{k.Dirs.Data, filepath.Dir(k.Record)} {
		must(t, os.MkdirAll(dir, 0o755))
	}
	return k, root
}

// lists makes the made-up jupyter list these folders, and native if it is not "".
func lists(t *testing.T, k Kernels, native string, dirs ...string) {
	t.Helper()
	type entry struct {
		Dir  string          `json:"resource_dir"`
		Spec json.RawMessage `json:"spec"`
	}
	script := "#!/bin/sh\n"
	all := map[string]entry{}
	for _, dir := range dirs {
		all[filepath.Base(dir)] = entry{dir, json.RawMessage("{}")}
	}
	if native != "" {
		// The shadow of a native spec is only listed once it is there.
		prefix := filepath.Dir(filepath.Dir(k.Jupyter))
		for _, dir := range []string{filepath.Join(prefix, "share", "jupyter", "kernels", "python3"), k.Dirs.userSpec("python3")} {
			b, err := json.Marshal(map[string]any{"kernelspecs": map[string]entry{"python3": {dir, json.RawMessage("{}")}}})
			must(t, err)
			script += "if [ -f '" + dir + "/kernel.json' ]; then cat <<'END'\n" + string(b) + "\nEND\nexit; fi\n"
		}
		all["python3"] = entry{filepath.Join(prefix, "lib", "resources"), json.RawMessage(native)}
	}
	b, err := json.Marshal(map[string]any{"kernelspecs": all})
	must(t, err)
	script += "cat <<'END'\n" + string(b) + "\nEND\n"
	must(t, os.MkdirAll(filepath.Dir(k.Jupyter), 0o755))
	must(t, os.WriteFile(k.Jupyter, []byte(script), 0o755))
}

func enable(t *testing.T, k Kernels, names ...string) []Outcome {
	t.Helper()
	o, err := k.Enable(context.Background(), names)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func disable(t *testing.T, k Kernels, names ...string) []Outcome {
	t.Helper()
	o, err := k.Disable(context.Background(), names)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Two at once forget nothing that the other one changed.
func TestKernelsAtOnce(t *testing.T) {
	k, root := newKernels(t)
	var dirs []string
	for i := range 12 {
		dir := filepath.Join(root, "env/share/jupyter/kernels", "ir"+strconv.Itoa(i))
		write(t, filepath.Join(dir, "kernel.json"), irSpec)
		dirs = append(dirs, dir)
	}
	lists(t, k, "", dirs...)
	before := tree(t, root)
	var wg sync.WaitGroup
	for _, dir := range dirs {
		wg.Go(func() {
			if _, err := k.Enable(context.Background(), []string{filepath.Base(dir)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	recorded, err := k.recorded()
	slices.Sort(recorded)
	slices.Sort(dirs)
	if d := cmp.Diff(dirs, recorded); err != nil || d != "" {
		t.Errorf("recorded: %v\n%s", err, d)
	}
	disable(t, k)
	if d := cmp.Diff(before, tree(t, root)); d != "" {
		t.Errorf("not put back:\n%s", d)
	}
}

const irSpec = "{\"argv\": [\"R\", \"{connection_file}\"],\r\n \"language\": \"R\", \"x\": 1.0}"

func TestKernelsInPlaceAndBack(t *testing.T) {
	k, root := newKernels(t)
	ir, py := filepath.Join(root, "env/share/jupyter/kernels/ir"), k.Dirs.userSpec("py")
	write(t, filepath.Join(ir, "kernel.json"), irSpec)
	must(t, os.Chmod(filepath.Join(ir, "kernel.json"), 0o600))
	write(t, filepath.Join(py, "kernel.json"), strings.Replace(ipykernel, `"python"`, `"/p"`, 1))
	lists(t, k, "", ir, py)
	before := tree(t, root)

	got := enable(t, k, "IR")
	want := []Outcome{{Name: "ir", File: filepath.Join(ir, "kernel.json"), Did: DidWrap}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if st, err := os.Stat(filepath.Join(ir, "kernel.json")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if got := enable(t, k); len(got) != 2 || got[0].Did != DidNothing || got[1].Did != DidWrap {
		t.Errorf("got %+v", got)
	}
	after := tree(t, root)
	if got := enable(t, k); got[0].Did != DidNothing || got[1].Did != DidNothing {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff(after, tree(t, root)); diff != "" {
		t.Errorf("enable again changed something:\n%s", diff)
	}
	specs, err := k.List(context.Background())
	if err != nil || len(specs) != 2 || specs[0].Binary != k.Binary || specs[0].Gone {
		t.Errorf("list %+v, %v", specs, err)
	}
	if got := disable(t, k); len(got) != 2 || got[0].Did != DidRestore || got[1].Did != DidRestore {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff(before, tree(t, root)); diff != "" {
		t.Errorf("not as it was:\n%s", diff)
	}
}

func TestKernelsDisableFindsWhatNoJupyterListsAnyMore(t *testing.T) {
	k, root := newKernels(t)
	ir := filepath.Join(root, "env/share/jupyter/kernels/ir")
	write(t, filepath.Join(ir, "kernel.json"), irSpec)
	lists(t, k, "", ir)
	enable(t, k)
	k.Jupyter = filepath.Join(root, "gone")
	if got := disable(t, k); len(got) != 1 || got[0].Did != DidRestore {
		t.Errorf("got %+v", got)
	}
	if got := read(t, filepath.Join(ir, "kernel.json")); got != irSpec {
		t.Errorf("got %s", got)
	}
}

func TestKernelsOfTheSystemAreShadowed(t *testing.T) {
	k, root := newKernels(t)
	ir := filepath.Join(root, "usr/share/jupyter/kernels/ir")
	shadow := k.Dirs.userSpec("ir")
	write(t, filepath.Join(ir, "kernel.json"), `{"argv": ["{resource_dir}/run"], "language": "R"}`)
	write(t, filepath.Join(ir, "logo-64x64.png"), "not really")
	write(t, filepath.Join(ir, "kernel.js"), "//")
	before := tree(t, root)
	lists(t, k, "", ir)
	lists(t, k, "", shadow) // what a real Jupyter lists once the shadow is there
	o, err := k.enable(newSpec("ir", ir, nil))
	if err != nil || o.Did != DidShadow || o.File != filepath.Join(shadow, "kernel.json") {
		t.Fatalf("%+v, %v", o, err)
	}
	if got := read(t, filepath.Join(ir, "kernel.json")); !strings.HasPrefix(got, `{"argv": ["{resource`) {
		t.Errorf("the system's own spec became %s", got)
	}
	f, err := parse([]byte(read(t, o.File)))
	if err != nil || f.binary() != k.Binary || f.argv[5] != ir+"/run" {
		t.Errorf("argv %v, %v", f.argv, err)
	}
	if got := read(t, filepath.Join(shadow, "logo-64x64.png")); got != "not really" {
		t.Errorf("logo %q", got)
	}
	if all, err := k.seen(context.Background(), []Outcome{o}); err != nil || all[0].Did != DidShadow {
		t.Errorf("%+v, %v", all, err)
	}
	if got := disable(t, k); len(got) != 1 || got[0].Did != DidRemove {
		t.Errorf("got %+v", got)
	}
	must(t, os.RemoveAll(filepath.Dir(filepath.Dir(k.Jupyter))))
	must(t, os.Remove(filepath.Dir(shadow))) // kernels, empty
	if diff := cmp.Diff(before, tree(t, root)); diff != "" {
		t.Errorf("not as it was:\n%s", diff)
	}
}

func TestKernelsShadowThatJupyterDoesNotSeeIsTakenBack(t *testing.T) {
	k, root := newKernels(t)
	ir := filepath.Join(root, "usr/share/jupyter/kernels/ir")
	write(t, filepath.Join(ir, "kernel.json"), irSpec)
	lists(t, k, "", ir)
	got := enable(t, k)
	if len(got) != 1 || got[0].Did != DidSkip || !strings.Contains(got[0].Why, "JUPYTER_PREFER_ENV_PATH") {
		t.Errorf("got %+v", got)
	}
	if _, err := os.Stat(k.Dirs.userSpec("ir")); !os.IsNotExist(err) {
		t.Errorf("the shadow is still there: %v", err)
	}
	if _, err := os.Stat(k.Record); !os.IsNotExist(err) {
		t.Errorf("the record is still there: %v", err)
	}
}

func TestKernelsWithoutAFile(t *testing.T) {
	k, root := newKernels(t)
	native := strings.Replace(ipykernel, `"python"`, `"`+filepath.Join(root, "env/bin/python")+`"`, 1)
	lists(t, k, native)
	before := tree(t, root)
	got := enable(t, k)
	file := filepath.Join(root, "env/share/jupyter/kernels/python3/kernel.json")
	if len(got) != 1 || got[0].Did != DidShadow || got[0].File != file {
		t.Fatalf("got %+v", got)
	}
	f, err := parse([]byte(read(t, file)))
	if err != nil || f.binary() != k.Binary || !strings.Contains(string(f.src), "supported_encryption") || f.display != "Python 3 (ipykernel)" {
		t.Errorf("%s, %v", f.src, err)
	}
	if got := enable(t, k); got[0].Did != DidNothing {
		t.Errorf("again: %+v", got)
	}
	if got := disable(t, k); len(got) != 1 || got[0].Did != DidRemove {
		t.Errorf("got %+v", got)
	}
	must(t, os.RemoveAll(filepath.Join(root, "env/share")))
	if diff := cmp.Diff(before, tree(t, root)); diff != "" {
		t.Errorf("not as it was:\n%s", diff)
	}
}

func TestKernelsChangedSinceEnable(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(string) string
		did    string
		why    string
		want   string
	}{
		"written again": {
			func(string) string { return `{"argv": ["R", "new"]}` }, DidNothing, "written again", `{"argv": ["R", "new"]}`,
		},
		"edited": {
			func(s string) string { return strings.Replace(s, "1.0", "2.0", 1) }, DidUnwrap, "the edits stay",
			strings.Replace(irSpec, "1.0", "2.0", 1),
		},
		"restored by hand": {func(string) string { return irSpec }, DidNothing, "", irSpec},
		"broken":           {func(string) string { return "{" }, DidNothing, "written again", "{"},
	} {
		t.Run(name, func(t *testing.T) {
			k, root := newKernels(t)
			ir := filepath.Join(root, "env/share/jupyter/kernels/ir")
			file := filepath.Join(ir, "kernel.json")
			write(t, file, irSpec)
			lists(t, k, "", ir)
			enable(t, k)
			write(t, file, tt.change(read(t, file)))
			got := disable(t, k, "ir")
			if len(got) != 1 || got[0].Did != tt.did || !strings.Contains(got[0].Why, tt.why) || tt.why == "" && got[0].Why != "" {
				t.Errorf("got %+v", got)
			}
			if got := read(t, file); got != tt.want {
				t.Errorf("kernel.json %s, want %s", got, tt.want)
			}
			if notes := kept(file); len(notes) != 0 {
				t.Errorf("left behind: %v", notes)
			}
		})
	}
}

func TestKernelsMoveToAnotherBinary(t *testing.T) {
	k, root := newKernels(t)
	ir := filepath.Join(root, "env/share/jupyter/kernels/ir")
	file := filepath.Join(ir, "kernel.json")
	write(t, file, irSpec)
	lists(t, k, "", ir)
	enable(t, k)
	must(t, os.Remove(k.Binary))
	if specs, err := k.List(context.Background()); err != nil || !specs[0].Gone {
		t.Errorf("%+v, %v", specs, err)
	}
	k.Binary = standIn(t, filepath.Join(root, "moved"))
	if got := enable(t, k); got[0].Did != DidWrap {
		t.Errorf("got %+v", got)
	}
	if specs, err := k.List(context.Background()); err != nil || specs[0].Gone || specs[0].Binary != k.Binary {
		t.Errorf("%+v, %v", specs, err)
	}
	if n := kept(file); len(n) != 1 {
		t.Errorf("kept %v", n)
	}
	if got := disable(t, k); got[0].Did != DidRestore || read(t, file) != irSpec {
		t.Errorf("got %+v, %s", got, read(t, file))
	}
}

// A spec that an earlier release wrapped, which did not have it say its name, is wrapped
// anew, and disable gives the original back.
func TestKernelsOfAnEarlierRelease(t *testing.T) {
	k, root := newKernels(t)
	ir := filepath.Join(root, "env/share/jupyter/kernels/ir")
	file := filepath.Join(ir, "kernel.json")
	older := strings.Replace(irSpec, `"R",`, `"`+k.Binary+`","kernel","-f","{connection_file}","--","R",`, 1)
	if older == irSpec {
		t.Fatalf("no argv in %s", irSpec)
	}
	write(t, file, older)
	write(t, file+keptSuffix+sum([]byte(older)), irSpec)
	must(t, k.remember(ir))
	lists(t, k, "", ir)
	if got := enable(t, k); got[0].Did != DidWrap || !strings.Contains(read(t, file), `"`+envSpec+`": "ir"`) {
		t.Errorf("got %+v, %s", got, read(t, file))
	}
	if got := enable(t, k); got[0].Did != DidNothing {
		t.Errorf("got %+v", got)
	}
	if n := kept(file); len(n) != 1 {
		t.Errorf("kept %v", n)
	}
	if got := disable(t, k); got[0].Did != DidRestore || read(t, file) != irSpec {
		t.Errorf("got %+v, %s", got, read(t, file))
	}
}

func TestKernelsSkipped(t *testing.T) {
	for name, tt := range map[string]struct{ src, why string }{
		"own provisioner": {
			`{"argv": ["R"], "metadata": {"kernel_provisioner": {"provisioner_name": "yarn"}}}`, `"yarn"`,
		},
		"duplicate names":  {`{"argv": ["R"], "argv": ["S"]}`, "duplicate"},
		"broken":           {`{"argv": `, "kernel.json"},
		"nbhush otherwise": {`{"argv": ["/x/nbhush", "run", "--", "R"]}`, "way of its own"},
		"no python":        {`{"argv": ["python", "x"]}`, "Jupyter's own Python"},
	} {
		t.Run(name, func(t *testing.T) {
			k, root := newKernels(t)
			dir := filepath.Join(root, "env/share/jupyter/kernels/x")
			write(t, filepath.Join(dir, "kernel.json"), tt.src)
			lists(t, k, "", dir)
			before := tree(t, root)
			got := enable(t, k)
			if len(got) != 1 || got[0].Did != DidSkip || !strings.Contains(got[0].Why, tt.why) {
				t.Errorf("got %+v", got)
			}
			if diff := cmp.Diff(before, tree(t, root)); diff != "" {
				t.Error(diff)
			}
		})
	}
	k, root := newKernels(t)
	dir := filepath.Join(root, "env/share/jupyter/kernels/x")
	write(t, filepath.Join(dir, "kernel.json"), `{"argv": ["R"], "metadata": {"kernel_provisioner": {"provisioner_name": "local-provisioner"}}}`)
	lists(t, k, "", dir)
	if got := enable(t, k); got[0].Did != DidWrap {
		t.Errorf("a spec of the local provisioner: %+v", got)
	}
	if _, err := k.Enable(context.Background(), []string{"nope"}); err == nil || !strings.Contains(err.Error(), `"nope"`) {
		t.Errorf("got %v", err)
	}
}

func TestKernelsPythonOfTheEnvironment(t *testing.T) {
	k, root := newKernels(t)
	env, user := filepath.Join(root, "env/share/jupyter/kernels/python3"), k.Dirs.userSpec("py")
	for _, dir := range []string{env, user} {
		write(t, filepath.Join(dir, "kernel.json"), ipykernel)
	}
	lists(t, k, "", env, user)
	python := filepath.Join(root, "env/bin/python")
	must(t, os.WriteFile(python, []byte("#!/bin/sh\n"), 0o755))
	for _, o := range enable(t, k) {
		f, err := parse([]byte(read(t, o.File)))
		if err != nil || o.Did != DidWrap || f.argv[5] != python {
			t.Errorf("%+v: argv %v, %v", o, f.argv, err)
		}
	}
}

// A process may end between any two writes; the folder is then found as one of
// these, and both commands have to make sense of it.
func TestKernelsEndedHalfWay(t *testing.T) {
	k, root := newKernels(t)
	ir := filepath.Join(root, "env/share/jupyter/kernels/ir")
	file := filepath.Join(ir, "kernel.json")
	write(t, file, irSpec)
	lists(t, k, "", ir)
	write(t, file+keptSuffix+"0123456789abcdef", irSpec) // kept, not wrapped yet
	if got := disable(t, k, "ir"); got[0].Did != DidNothing || got[0].Why != "" || len(kept(file)) != 0 {
		t.Errorf("got %+v", got)
	}
	write(t, file+keptSuffix+"0123456789abcdef", irSpec)
	if got := enable(t, k); got[0].Did != DidWrap || len(kept(file)) != 1 {
		t.Errorf("got %+v, kept %v", got, kept(file))
	}
	if got := disable(t, k); got[0].Did != DidRestore || read(t, file) != irSpec {
		t.Errorf("got %+v", got)
	}

	shadow := k.Dirs.userSpec("half")
	write(t, filepath.Join(shadow, "kernel.json"+madeSuffix+"0123456789abcdef"), "{}")
	if !free(shadow) {
		t.Error("a spec made half-way is in the way")
	}
	write(t, filepath.Join(shadow, "notes.txt"), "the user's")
	if free(shadow) {
		t.Error("the user's folder would be taken")
	}
}

func TestKernelsListWithoutJupyter(t *testing.T) {
	k, root := newKernels(t)
	k.Jupyter = ""
	t.Setenv("PATH", filepath.Join(root, "empty"))
	if _, err := k.List(context.Background()); err == nil {
		t.Error("no Jupyter, no specs, and no error")
	}
	write(t, filepath.Join(k.Dirs.userSpec("IR"), "kernel.json"), irSpec)
	write(t, filepath.Join(k.Dirs.systemData[0], "kernels", "ir", "kernel.json"), "{}")
	specs, err := k.List(context.Background())
	if err != nil || len(specs) != 1 || specs[0].Name != "ir" || specs[0].Language != "R" {
		t.Errorf("%+v, %v", specs, err)
	}
	k.Jupyter = filepath.Join(root, "empty", "jupyter")
	if _, err := k.List(context.Background()); err == nil || !strings.Contains(err.Error(), k.Jupyter) {
		t.Errorf("got %v", err)
	}
}
