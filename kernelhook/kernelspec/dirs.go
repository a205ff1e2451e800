package kernelspec

import (
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Dirs are the folders of one user's Jupyter, as jupyter_core's paths.py
// (5.9) finds them. They may not exist.
type Dirs struct {
	Config string // jupyter_config.py
	Data   string // kernels/NAME of this user

	// Runtime has the connection files of running kernels and the files of
	// running servers. An older Jupyter put them below XDG_RUNTIME_DIR.
	Runtime string

	// NoConfig says that JUPYTER_NO_CONFIG is set: a Jupyter that starts
	// with this environment reads no configuration at all.
	NoConfig bool

	system     []string // other folders of configuration, which this user does not own
	systemData []string // other folders of data
	extraData  []string // JUPYTER_PATH
	name       string   // JUPYTER_DEFAULT_PROVISIONER_NAME
}

// FindDirs reads the environment through getenv, which is os.Getenv outside of tests.
func FindDirs(getenv func(string) string) (Dirs, error) {
	home := getenv("HOME")
	if runtime.GOOS == "windows" {
		home = getenv("USERPROFILE")
	}
	d := Dirs{
		NoConfig: getenv("JUPYTER_NO_CONFIG") != "",
		name:     getenv("JUPYTER_DEFAULT_PROVISIONER_NAME"),
	}
	d.Config, d.Data = getenv("JUPYTER_CONFIG_DIR"), getenv("JUPYTER_DATA_DIR")
	if home == "" && (d.Config == "" || d.Data == "") {
		return Dirs{}, errors.New("HOME is not set, so there is no folder for Jupyter's configuration")
	}
	config, data := platformDirs(getenv, home, isOn(getenv("JUPYTER_PLATFORM_DIRS")))
	if d.Config == "" {
		d.Config = config
	}
	if d.Data == "" {
		d.Data = data
	}
	if d.Runtime = getenv("JUPYTER_RUNTIME_DIR"); d.Runtime == "" {
		d.Runtime = filepath.Join(d.Data, "runtime")
	}
	for _, p := range []*string{&d.Config, &d.Data, &d.Runtime} {
		abs, err := filepath.Abs(*p)
		if err != nil {
			return Dirs{}, err
		}
		*p = abs
	}
	for _, p := range filepath.SplitList(getenv("JUPYTER_CONFIG_PATH")) {
		d.system = append(d.system, filepath.Clean(p))
	}
	for _, p := range filepath.SplitList(getenv("JUPYTER_PATH")) {
		d.extraData = append(d.extraData, filepath.Clean(p))
	}
	if runtime.GOOS != "windows" {
		d.system = append(d.system, filepath.Join(home, ".local", "etc", "jupyter"), "/usr/local/etc/jupyter", "/etc/jupyter")
		d.systemData = []string{"/usr/local/share/jupyter", "/usr/share/jupyter"}
	} else if p := getenv("PROGRAMDATA"); p != "" {
		d.systemData = []string{filepath.Join(p, "jupyter")}
	}
	return d, nil
}

// isOn is envset of paths.py.
func isOn(value string) bool {
	return value != "" && !slices.Contains([]string{"no", "n", "false", "off", "0", "0.0"}, strings.ToLower(value))
}

// ConfigFile is the path of the file that holds the marked block.
func (d Dirs) ConfigFile() string { return filepath.Join(d.Config, "jupyter_config.py") }

// userSpec is the folder of this user's own kernel spec called name.
func (d Dirs) userSpec(name string) string { return filepath.Join(d.Data, "kernels", name) }

// shared reports whether path lies in a folder that other users of the
// machine read as well.
func (d Dirs) shared(path string) bool {
	return slices.ContainsFunc(d.systemData, func(dir string) bool { return below(path, dir) })
}

func below(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}
