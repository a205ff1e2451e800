// Package home says where nbhush keeps its files. Nothing else knows a path.
//
//	             NBHUSH_HOME set          otherwise (XDG Base Directory Specification 0.8)
//	Config       $NBHUSH_HOME/config      $XDG_CONFIG_HOME/nbhush   config.toml
//	Data         $NBHUSH_HOME/data        $XDG_DATA_HOME/nbhush     vault, index, grants, Jupyter folder
//	State        $NBHUSH_HOME/state       $XDG_STATE_HOME/nbhush    audit log, agent log
//	Cache        $NBHUSH_HOME/cache       $XDG_CACHE_HOME/nbhush    private virtual environment of the demo
//	Run          $NBHUSH_HOME/run         $XDG_RUNTIME_DIR/nbhush   socket, lock, kernels' sockets
//
// A socket's path has at most 104 bytes on every system that has sockets in the
// file system; where Run would be too deep, or there is no runtime directory,
// Run is a directory of this user in the temporary directory, named after the
// home that it belongs to. Where somebody else has taken that name it is a
// directory below State, from then on.
package home

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/nbhush/nbhush/agent/socket"
)

// Home holds the directories of one user. They may not exist yet: MkdirAll
// makes those that are needed. The values do not change after Find.
type Home struct {
	Config, Data, State, Cache, Run string
}

// maxRun leaves room in 104 bytes for a name below Run, such as
// k-0123456789abcdef/endpoint.
const maxRun = 64

// Find reads the environment through getenv, which is os.Getenv outside of tests.
func Find(getenv func(string) string) (Home, error) {
	if base := getenv("NBHUSH_HOME"); base != "" {
		base, err := filepath.Abs(base)
		if err != nil {
			return Home{}, err
		}
		h := Home{
			Config: filepath.Join(base, "config"),
			Data:   filepath.Join(base, "data"),
			State:  filepath.Join(base, "state"),
			Cache:  filepath.Join(base, "cache"),
		}
		h.Run = h.run(filepath.Join(base, "run"), base)
		return h, nil
	}
	user := getenv("HOME")
	if user == "" {
		if user, _ = os.UserHomeDir(); user == "" {
			return Home{}, errors.New("neither NBHUSH_HOME nor HOME is set")
		}
	}
	xdg := func(name string, fallback ...string) string {
		// The specification: a relative path is invalid and is ignored.
		if dir := getenv(name); filepath.IsAbs(dir) {
			return filepath.Join(dir, "nbhush")
		}
		return filepath.Join(append([]string{user}, append(fallback, "nbhush")...)...)
	}
	h := Home{
		Config: xdg("XDG_CONFIG_HOME", ".config"),
		Data:   xdg("XDG_DATA_HOME", ".local", "share"),
		State:  xdg("XDG_STATE_HOME", ".local", "state"),
		Cache:  xdg("XDG_CACHE_HOME", ".cache"),
	}
	want := ""
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		want = filepath.Join(dir, "nbhush")
	}
	h.Run = h.run(want, h.Data)
	return h, nil
}

// run is want, if it will do, or else the folder of key in the temporary directory.
// That is everybody's: who takes the name first must not be in the way, nor come
// back to it. A home, which computers may share, is not the first choice.
func (h Home) run(want, key string) string {
	if want != "" && len(want) <= maxRun {
		return want
	}
	sum := sha256.Sum256([]byte(key))
	dir := filepath.Join(os.TempDir(), "nbhush-"+strconv.Itoa(os.Getuid())+"-"+hex.EncodeToString(sum[:6]))
	own := filepath.Join(h.State, "run")
	if len(own) > maxRun {
		return dir
	}
	if _, err := os.Lstat(own); err == nil {
		return own
	}
	if err := socket.CheckDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return own
	}
	return dir
}

// Socket is the path of the agent's socket.
func (h Home) Socket() string { return filepath.Join(h.Run, "agent.sock") }

// AgentLock is the path of the file that the one running agent holds locked.
func (h Home) AgentLock() string { return filepath.Join(h.Run, "agent.lock") }

// AgentLog is the path of the agent's own log, which holds no value.
func (h Home) AgentLog() string { return filepath.Join(h.State, "agent.log") }

// Audit is the path of the audit log.
func (h Home) Audit() string { return filepath.Join(h.State, "audit.jsonl") }

// ConfigFile is the path of the user's settings.
func (h Home) ConfigFile() string { return filepath.Join(h.Config, "config.toml") }

// Vault is the path of the encrypted vault.
func (h Home) Vault() string { return filepath.Join(h.Data, "vault.age") }

// Past is the path of the encrypted file of former values.
func (h Home) Past() string { return filepath.Join(h.Data, "past.age") }

// Index is the path of the list of names, stores and times.
func (h Home) Index() string { return filepath.Join(h.Data, "index.json") }

// Allowed is the path of the list of approved nbhush.toml files.
func (h Home) Allowed() string { return filepath.Join(h.Data, "allowed.json") }

// Grants is the path of the list of what was granted and denied by name.
func (h Home) Grants() string { return filepath.Join(h.Data, "grants.json") }

// LooksKey is the path of the key under which findings get their digits.
func (h Home) LooksKey() string { return filepath.Join(h.Data, "looks.key") }

// Jupyter is the folder that goes on Jupyter's sys.path.
func (h Home) Jupyter() string { return filepath.Join(h.Data, "jupyter") }
