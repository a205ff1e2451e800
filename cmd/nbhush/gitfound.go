package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/nbstrip"
)

// maxFound is the most that one command of git tells the agent.
const maxFound = 1000

// gitFound are the secrets that a filter took out. When git has stored them the
// agent hears of them, in one message whose answer nobody waits for: git waits
// for its filter to end.
type gitFound struct {
	last []nbstrip.Finding // in the notebook that was stripped last
	all  []api.Found
}

// add notes what the last strip found, in src, the file at path.
func (g *gitFound) add(path string, src []byte) {
	if len(g.last) == 0 || len(g.all) >= maxFound {
		return
	}
	sum := sha256.Sum256(src)
	told := map[string]bool{}
	for _, f := range g.last {
		if !told[f.Name] && len(g.all) < maxFound {
			told[f.Name] = true
			g.all = append(g.all, api.Found{Name: f.Name, Where: path + ", which git add cleaned", Sum: hex.EncodeToString(sum[:16])})
		}
	}
}

// tell sends what was noted, unless git was only looking.
func (g *gitFound) tell(ctx context.Context, finder *lazyFinder, looks func(context.Context) bool) {
	if len(g.all) > 0 && !looks(ctx) {
		finder.tell(ctx, g.all)
	}
}
