package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/secret"
)

// project is the nbhush.toml that counts for a directory. Without one, path is "".
type project struct {
	path, hash string
	config     *policy.Config
	approval   *policy.Approval
}

func (p *project) dir() string { return filepath.Dir(p.path) }

// projects keeps what the last look at an nbhush.toml and the approvals said for
// as long as both files are the same by their stat. It is safe for concurrent use.
//
// A file that changes twice within one tick of the file system's clock and keeps
// its size is missed. What counts then is what the user approved before, and
// allow and deny, which go through this process, forget everything.
type projects struct {
	approvals *policy.Approvals
	file      string // of the approvals

	mu    sync.Mutex
	known map[string]knownProject // by the path of the nbhush.toml
}

type knownProject struct {
	config, approvals stamp
	project           project
}

// maxProjects is more than one user works in at a time.
const maxProjects = 100

// stamp is what changes when a file does.
type stamp struct {
	size  int64
	time  time.Time
	inode uint64
}

func stampOf(path string) (stamp, bool) {
	st, err := os.Stat(path) // the user's own files, and only their stat
	if err != nil {
		return stamp{}, errors.Is(err, fs.ErrNotExist)
	}
	return stamp{st.Size(), st.ModTime(), inode(st)}, true
}

// of returns the project of dir.
func (ps *projects) of(dir string) (project, error) {
	path, err := policy.Find(dir)
	if err != nil || path == "" {
		return project{}, err
	}
	// Before the files are read, so that a change in between is seen next time.
	config, ok1 := stampOf(path)
	approvals, ok2 := stampOf(ps.file)
	ps.mu.Lock()
	last, ok := ps.known[path]
	ps.mu.Unlock()
	if ok && ok1 && ok2 && last.config == config && last.approvals == approvals {
		return last.project, nil
	}
	c, hash, err := policy.Load(path)
	if err != nil {
		return project{path: path}, err
	}
	approval, err := ps.approvals.Lookup(path)
	if err != nil {
		return project{path: path}, err
	}
	p := project{path, hash, c, approval}
	ps.keep(knownProject{config, approvals, p})
	return p, nil
}

func (ps *projects) keep(k knownProject) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.known == nil || len(ps.known) >= maxProjects {
		ps.known = map[string]knownProject{}
	}
	ps.known[k.project.path] = k
}

func (ps *projects) forget() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.known = nil
}

// rule is what counts for one kernel: the project that it runs in and what was
// said of single names. Without a kernel it is the project alone.
type rule struct {
	project
	kernel *kernel
	grants []policy.Grant
}

func (r rule) request(name secret.Name) policy.Request {
	q := policy.Request{Name: name, ConfigPath: r.path, ConfigHash: r.hash, Now: time.Now()}
	if r.kernel != nil {
		q.Kernel, q.Notebook = r.kernel.key(), r.kernel.notebook
	}
	return q
}

func (r rule) decide(name secret.Name) policy.Decision {
	return policy.Decide(r.request(name), r.config, r.approval, r.grants...)
}

// scope is the rule by which one asker gets values: the rules that must all say
// yes, or none for the owner.
type scope struct {
	owner  bool
	rules  []rule
	source *project // whose sources count for the owner, or nil
}

// scope of w: the nbhush.toml of its kernel and, for a kernel that runs inside
// another, of those too, so that nobody gets more by starting a kernel.
func (a *agent) scope(w asker) (scope, error) {
	s := scope{owner: w.kernel == nil}
	if s.owner {
		return s, nil
	}
	grants, err := a.grants.current()
	if err != nil {
		return scope{}, err
	}
	for k := w.kernel; k != nil; k = k.outer {
		p, err := a.projects.of(k.info.Dir)
		if err != nil {
			return scope{}, fmt.Errorf("policy for %s: %w", k.info.Dir, err)
		}
		s.rules = append(s.rules, rule{p, k, grants})
	}
	return s, nil
}

func (s scope) decide(name secret.Name) policy.Decision {
	if s.owner {
		return policy.Decide(policy.Request{Name: name, Owner: true}, nil, nil)
	}
	d := policy.Decision{Reason: "no rule"}
	for _, r := range s.rules {
		if d = r.decide(name); !d.Allow {
			break
		}
	}
	// Who starts a kernel inside of a kernel is that kernel's user, too, and must not say yes to himself.
	d.Ask = d.Ask && len(s.rules) == 1
	return d
}

// keep says whether a kernel that has the value may keep it.
func (s scope) keep(name secret.Name) bool {
	for _, r := range s.rules {
		if !policy.Keep(r.request(name), r.config, r.approval, r.grants...) {
			return false
		}
	}
	return true
}

// once returns s with a yes to one request for name.
func (s scope) once(name secret.Name) scope {
	rules := slices.Clone(s.rules)
	for i := range rules {
		rules[i].grants = append(slices.Clip(rules[i].grants), policy.Grant{Name: name, Once: true})
	}
	return scope{rules: rules}
}
