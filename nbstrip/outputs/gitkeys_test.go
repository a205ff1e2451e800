//go:build unix

package outputs

import (
	"os"
	"syscall"
	"testing"
)

func TestMayHaveKeys(t *testing.T) {
	const keys = "[filter \"nbstripout\"]\n\tExtraKeys = metadata.a"
	for name, c := range map[string]struct {
		files  map[string]string
		env    map[string]string
		broken string // path that cannot be read
		want   bool
	}{
		"nothing":                     {},
		"a repository without":        {files: map[string]string{"/w/.git/config": "[core]", "/w/.git/HEAD": "x"}},
		"in the repository":           {files: map[string]string{"/w/.git/config": keys}, want: true},
		"of the user":                 {files: map[string]string{"/h/.gitconfig": keys}, want: true},
		"of the user, XDG":            {files: map[string]string{"/h/.config/git/config": keys}, want: true},
		"XDG elsewhere":               {files: map[string]string{"/h/.config/git/config": keys}, env: map[string]string{"XDG_CONFIG_HOME": "/x"}},
		"of the system":               {files: map[string]string{"/etc/gitconfig": "KEEPMETADATAKEYS"}, want: true},
		"another file of the user":    {files: map[string]string{"/h/.gitconfig": keys, "/g": ""}, env: map[string]string{"GIT_CONFIG_GLOBAL": "/g"}},
		"keys in that one":            {files: map[string]string{"/g": keys}, env: map[string]string{"GIT_CONFIG_GLOBAL": "/g"}, want: true},
		"another file is named":       {files: map[string]string{"/h/.gitconfig": "[includeIf \"gitdir:/w\"]"}, want: true},
		"on the command line":         {env: map[string]string{"GIT_CONFIG_PARAMETERS": "'a'='b'"}, want: true},
		"a worktree":                  {broken: "/w/a/.git/config", want: true},
		"settings of each worktree":   {files: map[string]string{"/w/.git/config": "[extensions] worktreeConfig"}, want: true},
		"a bare repository":           {files: map[string]string{"/w/HEAD": "ref: x"}, want: true},
		"unreadable":                  {broken: "/h/.gitconfig", want: true},
		"GIT_DIR":                     {files: map[string]string{"/d/config": keys}, env: map[string]string{"GIT_DIR": "/d"}, want: true},
		"GIT_DIR, not what is around": {files: map[string]string{"/w/.git/config": keys}, env: map[string]string{"GIT_DIR": "/d"}},
	} {
		t.Run(name, func(t *testing.T) {
			getenv := func(name string) string {
				if name == "HOME" {
					return "/h"
				}
				return c.env[name]
			}
			read := func(path string) ([]byte, error) {
				if b, ok := c.files[path]; ok {
					return []byte(b), nil
				}
				if path == c.broken {
					return nil, syscall.ENOTDIR
				}
				return nil, &os.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
			}
			if got := MayHaveKeys(getenv, "/w/a/b", read); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
