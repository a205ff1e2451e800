package kernelspec

import "path/filepath"

// platformDirs are the defaults of paths.py; platform is JUPYTER_PLATFORM_DIRS.
func platformDirs(getenv func(string) string, home string, platform bool) (config, data string) {
	if local := getenv("LOCALAPPDATA"); platform && local != "" {
		dir := filepath.Join(local, "Jupyter")
		return dir, dir
	}
	config = filepath.Join(home, ".jupyter")
	if roaming := getenv("APPDATA"); roaming != "" {
		return config, filepath.Join(roaming, "jupyter")
	}
	return config, filepath.Join(config, "data")
}
