package kernelspec

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newProvisioner is one of a home that does not exist yet.
func newProvisioner(t *testing.T) (Provisioner, string) {
	t.Helper()
	home := t.TempDir()
	dirs, err := FindDirs(func(name string) string {
		return map[string]string{
			"HOME": home, "USERPROFILE": home,
			"APPDATA": filepath.Join(home, "AppData", "Roaming"),
		}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	dirs.system = nil // not this machine's
	return Provisioner{
		Dirs:    dirs,
		Folder:  filepath.Join(home, "nbhush", "jupyter"),
		Binary:  standIn(t, home),
		Version: "1.2.3",
	}, home
}

// standIn makes a file that may be executed.
func standIn(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "bin", "nbhush")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// tree maps every file below dir to its mode and content, every folder to "".
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil || d.IsDir() {
			m[rel+"/"] = ""
			return err
		}
		if filepath.Base(p) == "kernels.json.lock" { // nbhush's own, empty, and only in its own folder
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		m[rel] = st.Mode().String() + " " + string(b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestProvisionerEnableAndDisableLeaveTheHomeAsItWas(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, p Provisioner){
		"nothing there": func(*testing.T, Provisioner) {},
		"folder there":  func(t *testing.T, p Provisioner) { write(t, filepath.Join(p.Dirs.Config, "migrated"), "x") },
		"empty file":    func(t *testing.T, p Provisioner) { write(t, p.Dirs.ConfigFile(), "") },
		"own settings":  func(t *testing.T, p Provisioner) { write(t, p.Dirs.ConfigFile(), "c.A.b = 1\r\nc.A.c = 2") },
		"other mode": func(t *testing.T, p Provisioner) {
			write(t, p.Dirs.ConfigFile(), "c.A.b = 1\n")
			if err := os.Chmod(p.Dirs.ConfigFile(), 0o640); err != nil {
				t.Fatal(err)
			}
		},
		"other files in the folder": func(t *testing.T, p Provisioner) { write(t, filepath.Join(p.Folder, "other"), "x") },
	} {
		t.Run(name, func(t *testing.T) {
			p, home := newProvisioner(t)
			if err := os.MkdirAll(filepath.Dir(p.Folder), 0o755); err != nil {
				t.Fatal(err)
			}
			prepare(t, p)
			before := tree(t, home)
			for i, want := range []bool{true, false} {
				if changed, err := p.Enable(); err != nil || changed != want {
					t.Fatalf("enable %d: %v, %v", i, changed, err)
				}
			}
			if st := p.Status(); !st.Enabled || st.Stale || st.Problem != "" || st.Binary != p.Binary || st.Version != p.Version {
				t.Errorf("status %+v", st)
			}
			for i, want := range []bool{true, false} {
				if changed, err := p.Disable(); err != nil || changed != want {
					t.Fatalf("disable %d: %v, %v", i, changed, err)
				}
			}
			if diff := cmp.Diff(before, tree(t, home)); diff != "" {
				t.Errorf("the home is not as it was:\n%s", diff)
			}
			if st := p.Status(); st.Enabled || st.Mend != "nbhush jupyter enable" {
				t.Errorf("status %+v", st)
			}
		})
	}
}

func TestProvisionerUpgradeReplacesTheOlderVersion(t *testing.T) {
	p, _ := newProvisioner(t)
	write(t, p.Dirs.ConfigFile(), "a = 1\n")
	if _, err := p.Enable(); err != nil {
		t.Fatal(err)
	}
	newer := p
	newer.Version, newer.Binary = "1.3.0-dev", standIn(t, t.TempDir())
	if st := newer.Status(); !st.Enabled || !st.Stale || st.Version != "1.2.3" || st.Mend != "nbhush jupyter enable" {
		t.Errorf("status before the upgrade %+v", st)
	}
	if changed, err := newer.Enable(); err != nil || !changed {
		t.Fatalf("%v, %v", changed, err)
	}
	if st := newer.Status(); !st.Enabled || st.Stale || st.Version != "1.3.0-dev" || st.Binary != newer.Binary {
		t.Errorf("status after the upgrade %+v", st)
	}
	infos, err := filepath.Glob(filepath.Join(p.Folder, "*.dist-info"))
	if err != nil || len(infos) != 1 || filepath.Base(infos[0]) != "nbhush_jupyter-1.3.0+dev.dist-info" {
		t.Errorf("found %v, %v", infos, err)
	}
	// The older nbhush takes out what the newer one put there.
	if _, err := p.Disable(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, p.Dirs.ConfigFile()); got != "a = 1\n" {
		t.Errorf("configuration %q", got)
	}
}

func TestProvisionerStatusNamesWhatIsWrong(t *testing.T) {
	for name, tt := range map[string]struct {
		breakIt func(t *testing.T, p *Provisioner)
		problem string
		mend    string
	}{
		"binary gone": {
			func(t *testing.T, p *Provisioner) { must(t, os.Remove(p.Binary)) },
			"which kernels should start behind, is not there", "nbhush jupyter enable",
		},
		"files gone": {
			func(t *testing.T, p *Provisioner) { must(t, os.RemoveAll(p.Folder)) },
			"the files in", "nbhush jupyter enable",
		},
		"block damaged": {
			func(t *testing.T, p *Provisioner) {
				write(t, p.Dirs.ConfigFile(), strings.Replace(read(t, p.Dirs.ConfigFile()), "import sys", "import os", 1))
			},
			"damaged", "delete by hand",
		},
		"no configuration read": {
			func(_ *testing.T, p *Provisioner) { p.Dirs.NoConfig = true },
			"JUPYTER_NO_CONFIG", "unset JUPYTER_NO_CONFIG",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := newProvisioner(t)
			if _, err := p.Enable(); err != nil {
				t.Fatal(err)
			}
			tt.breakIt(t, &p)
			st := p.Status()
			if st.Enabled || !strings.Contains(st.Problem, tt.problem) || !strings.Contains(st.Mend, tt.mend) {
				t.Errorf("status %+v", st)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestProvisionerLeavesADamagedBlockAlone(t *testing.T) {
	p, home := newProvisioner(t)
	if _, err := p.Enable(); err != nil {
		t.Fatal(err)
	}
	write(t, p.Dirs.ConfigFile(), strings.Replace(read(t, p.Dirs.ConfigFile()), blockEnd, "", 1))
	before := tree(t, home)
	var want *errBlock
	if _, err := p.Enable(); !errors.As(err, &want) || !strings.Contains(err.Error(), p.Dirs.ConfigFile()) {
		t.Errorf("enable: %v", err)
	}
	if _, err := p.Disable(); !errors.As(err, &want) {
		t.Errorf("disable: %v", err)
	}
	if diff := cmp.Diff(before, tree(t, home)); diff != "" {
		t.Error(diff)
	}
}

func TestProvisionerStatusNamesOtherChoices(t *testing.T) {
	p, _ := newProvisioner(t)
	system := t.TempDir()
	p.Dirs.system = []string{system}
	p.Dirs.name = "other"
	server := filepath.Join(p.Dirs.Config, "jupyter_server_config.json")
	site := filepath.Join(system, "jupyter_config.py")
	write(t, server, `{"KernelProvisionerFactory": {"default_provisioner_name": "x"}}`)
	write(t, site, "a = 1\rc.KernelProvisionerFactory.default_provisioner_name = 'x'\r")
	write(t, filepath.Join(p.Dirs.Config, "jupyter_lab_config.py"), "# c.KernelProvisionerFactory.default_provisioner_name = ''\n")
	if _, err := p.Enable(); err != nil {
		t.Fatal(err)
	}
	want := []string{"JUPYTER_DEFAULT_PROVISIONER_NAME", server, site}
	if diff := cmp.Diff(want, p.Status().Chosen); diff != "" {
		t.Error(diff)
	}
}

func TestProvisionerRefusesWhereJupyterReadsNoConfiguration(t *testing.T) {
	p, home := newProvisioner(t)
	p.Dirs.NoConfig = true
	before := tree(t, home)
	if _, err := p.Enable(); !errors.Is(err, error(errNoConfig)) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, tree(t, home)); diff != "" {
		t.Error(diff)
	}
}

func TestPEP440(t *testing.T) {
	for in, want := range map[string]string{
		"1.2.3": "1.2.3", "v1.2.3": "1.2.3", "0.1.0-dev": "0.1.0+dev", "": "0", "devel": "0+devel",
		"(devel)": "0+devel", "1.0.0-rc.1+Build_7": "1.0.0+rc.1.build.7", "1..2": "0+1.2", "v": "0",
	} {
		if got := pep440(in); got != want {
			t.Errorf("pep440(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFindDirs(t *testing.T) {
	home := t.TempDir()
	for name, tt := range map[string]struct {
		env          map[string]string
		config, data string
		noConfig     bool
	}{
		"JUPYTER_CONFIG_DIR": {env: map[string]string{"JUPYTER_CONFIG_DIR": filepath.Join(home, "c")}, config: filepath.Join(home, "c")},
		"JUPYTER_DATA_DIR":   {env: map[string]string{"JUPYTER_DATA_DIR": filepath.Join(home, "d")}, data: filepath.Join(home, "d")},
		"default":            {config: filepath.Join(home, ".jupyter")},
		"platform off":       {env: map[string]string{"JUPYTER_PLATFORM_DIRS": "False"}, config: filepath.Join(home, ".jupyter")},
		"no config":          {env: map[string]string{"JUPYTER_NO_CONFIG": "1"}, noConfig: true},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"HOME": home, "USERPROFILE": home}
			for k, v := range tt.env {
				env[k] = v
			}
			d, err := FindDirs(func(k string) string { return env[k] })
			if err != nil {
				t.Fatal(err)
			}
			if tt.config != "" && d.Config != tt.config {
				t.Errorf("config %s, want %s", d.Config, tt.config)
			}
			if tt.data != "" && d.Data != tt.data {
				t.Errorf("data %s, want %s", d.Data, tt.data)
			}
			if d.NoConfig != tt.noConfig {
				t.Errorf("no config %v", d.NoConfig)
			}
		})
	}
	if _, err := FindDirs(func(string) string { return "" }); err == nil {
		t.Error("no home, and no error")
	}
}

func TestFilesAreOfThisVersionOnly(t *testing.T) {
	p, _ := newProvisioner(t)
	p.Binary = "/opt/zoë's \"bin\"/nbhush"
	f := p.files()
	if len(f) != 6 {
		t.Errorf("%d files: %v", len(f), sortedKeys(f))
	}
	binary, version := placeOf([]byte(f[module+"/place.py"]))
	if binary != p.Binary || version != p.Version {
		t.Errorf("place.py says %q, %q", binary, version)
	}
	if !bytes.Contains([]byte(f[p.distInfo()+"/entry_points.txt"]), []byte("provisioner:NbhushProvisioner")) {
		t.Error("no entry point")
	}
}
