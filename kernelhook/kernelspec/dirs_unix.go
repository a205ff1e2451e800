//go:build unix && !darwin

package kernelspec

import "path/filepath"

// platformDirs are the defaults of paths.py; platform is JUPYTER_PLATFORM_DIRS.
func platformDirs(getenv func(string) string, home string, platform bool) (config, data string) {
	xdg := func(name string, fallback ...string) string {
		if dir := getenv(name); dir != "" {
			return filepath.Join(dir, "jupyter")
		}
		return filepath.Join(append([]string{home}, append(fallback, "jupyter")...)...)
	}
	data = xdg("XDG_DATA_HOME", ".local", "share")
	if platform {
		return xdg("XDG_CONFIG_HOME", ".config"), data
	}
	return filepath.Join(home, ".jupyter"), data
}
