package kernelspec

import "path/filepath"

// platformDirs are the defaults of paths.py; platform is JUPYTER_PLATFORM_DIRS.
func platformDirs(_ func(string) string, home string, platform bool) (config, data string) {
	if platform {
		dir := filepath.Join(home, "Library", "Application Support", "Jupyter")
		return dir, dir
	}
	return filepath.Join(home, ".jupyter"), filepath.Join(home, "Library", "Jupyter")
}
