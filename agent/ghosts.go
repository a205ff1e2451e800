package agent

import (
	"encoding/json"
	"log/slog"
	"os"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/socket"
)

// ghostFile remembers the registered hooks for the next agent, which may come
// after a crash of this one: until a hook has reconnected, its kernel must not
// be taken for the owner. It holds no value. The empty path remembers nothing.
type ghostFile struct {
	path string
	log  *slog.Logger
}

type ghostEntry struct {
	PID    int        `json:"pid"`
	Start  uint64     `json:"start"`
	Also   uint64     `json:"also,omitempty"` // the start of Kernel.PID
	ID     string     `json:"id"`
	Kernel api.Kernel `json:"kernel"`
	// Sourced says where the values came from that it has of providers.
	Sourced []string `json:"sourced,omitempty"`
}

// maxGhosts is more kernels than one user has.
const maxGhosts = 1000

// save writes live. It is not synced: it need not outlive the machine, as no
// process does. A failure is logged and costs only what the file is for.
func (f ghostFile) save(live []*kernel) {
	if f.path == "" {
		return
	}
	entries := make([]ghostEntry, 0, len(live))
	for _, k := range live {
		entries = append(entries, ghostEntry{k.proc.PID, k.proc.Start, k.also.Start, k.id, k.info, k.sourced})
	}
	out, err := json.Marshal(entries)
	if err == nil {
		err = os.WriteFile(f.path+".new", out, 0o600)
	}
	if err == nil {
		err = os.Rename(f.path+".new", f.path)
	}
	if err != nil {
		f.log.Warn("remember the kernels", "err", err)
	}
}

// load returns the remembered kernels whose hooks still run, oldest first.
func (f ghostFile) load() []*kernel {
	if f.path == "" {
		return nil
	}
	src, err := os.ReadFile(f.path)
	if err != nil {
		return nil // the usual case: there is none
	}
	var entries []ghostEntry
	if err := json.Unmarshal(src, &entries); err != nil {
		f.log.Warn("read the kernels of the last agent", "err", err)
		return nil
	}
	var ghosts []*kernel
	for _, e := range entries[:min(len(entries), maxGhosts)] {
		proc := socket.Process{PID: e.PID, Start: e.Start}
		line, err := socket.Ancestors(e.PID)
		if err != nil || !line[0].Is(proc) {
			continue
		}
		before := kernels{live: ghosts}
		also := socket.Process{PID: e.Kernel.PID, Start: e.Also}
		ghosts = append(ghosts, &kernel{
			id: e.ID, proc: proc, also: also, info: e.Kernel, outer: before.nearest(line), ghost: true, notebook: notebookOf(e.Kernel),
			sourced: e.Sourced,
			dir:     realDir(e.Kernel.Dir),
		})
	}
	return ghosts
}
