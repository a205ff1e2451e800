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

	guards     []policy.Approval // those with rules or profiles
	guardsAt   stamp
	guardsRead bool
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
	ps.known, ps.guardsRead = nil, false
}

// guarded returns p, the project of dir, as rules and profiles that were approved
// there want it: a kernel could have removed the file that has them, or put
// another one before it. The project is that of the file that is gone; or p, in
// which no grant counts until its file is approved.
func (ps *projects) guarded(dir string, p project) (project, error) {
	at, ok := stampOf(ps.file) // before it is read, so that a change in between is seen next time
	ps.mu.Lock()
	all, fresh := ps.guards, ok && ps.guardsRead && ps.guardsAt == at
	ps.mu.Unlock()
	if !fresh {
		list, err := ps.approvals.List()
		if err != nil {
			return p, err
		}
		all = slices.DeleteFunc(list, func(a policy.Approval) bool { return !a.Guards })
		ps.mu.Lock()
		ps.guards, ps.guardsAt, ps.guardsRead = all, at, ok
		ps.mu.Unlock()
	}
	for i := range all {
		a := &all[i]
		above := filepath.Dir(a.Path)
		if !within(dir, above) {
			continue
		}
		if p.path != "" && within(p.dir(), above) {
			if p.approval == nil {
				p.approval = &policy.Approval{Path: p.path, Guards: true}
			}
			if p.dir() != above || p.path == a.Path || filepath.Base(a.Path) != policy.FileName {
				continue
			} // else it stood before p in this folder
		}
		if _, err := os.Stat(a.Path); errors.Is(err, fs.ErrNotExist) {
			return project{path: a.Path, approval: a}, nil
		}
	}
	return p, nil
}

// within reports whether dir is above or below it.
func within(dir, above string) bool {
	rel, err := filepath.Rel(above, dir)
	return err == nil && filepath.IsLocal(rel)
}

// ownRules keeps what the last look at the user's settings said of rules for as
// long as the file is the same by its stat. It is safe for concurrent use.
type ownRules struct {
	path, home string

	mu    sync.Mutex
	known bool
	at    stamp
	all   []policy.Rule // not changed in place
}

// current returns the rules. An error means that nothing is allowed to a kernel:
// a denial may be among them.
func (o *ownRules) current() ([]policy.Rule, error) {
	if o.path == "" {
		return nil, nil
	}
	at, ok := stampOf(o.path) // before it is read, so that a change in between is seen next time
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known && ok && at == o.at {
		return o.all, nil
	}
	all, err := policy.OwnRules(o.path, o.home)
	if err != nil {
		return nil, badInput(err)
	}
	o.known, o.at, o.all = ok, at, all
	return all, nil
}

// rule is what counts for one kernel: the project that it runs in, in which
// profile, and what was said of single names. Without a kernel it is the project
// alone.
type rule struct {
	project
	profile string
	kernel  *kernel
	grants  []policy.Grant
	own     []policy.Rule
	shell   bool // the user's own command asks for all that the project lists
}

func (r rule) request(name secret.Name) policy.Request {
	q := policy.Request{
		Name: name, ConfigPath: r.path, ConfigHash: r.hash, Dir: filepath.Dir(r.path), Profile: r.profile,
		Now: time.Now(), Rules: r.own, Shell: r.shell,
	}
	if k := r.kernel; k != nil {
		q.Kernel, q.Notebook, q.Spec, q.Language = k.key(), k.notebook, k.info.Spec, k.info.Language
		if r.path == "" {
			q.Dir = k.dir
		}
	}
	return q
}

func (r rule) decide(name secret.Name) policy.Decision {
	return policy.Decide(r.request(name), r.config, r.approval, r.grants...)
}

// approved reports whether the project's nbhush.toml is approved as it is.
func (p project) approved() bool { return p.config != nil && p.approval.Approves(p.path, p.hash) }

// scope is the rule by which one asker gets values: the rules that must all say
// yes, or none for the owner.
type scope struct {
	owner  bool
	rules  []rule
	source *rule  // whose sources count for the owner, or nil
	asked  string // the profile that was asked for with the name, or ""
}

// profile returns the one that is on.
func (s scope) profile() string {
	if s.source != nil {
		return s.source.profile
	}
	if len(s.rules) == 0 {
		return ""
	}
	return s.rules[0].profile
}

// scope of w, which asks for names in a profile, "" being that of its session:
// the nbhush.toml of its kernel and, for a kernel that runs inside another, of
// those too, so that nobody gets more by starting a kernel.
func (a *agent) scope(w asker, profile string) (scope, error) {
	s := scope{owner: w.kernel == nil, asked: profile}
	if s.owner {
		return s, nil
	}
	grants, err := a.grants.current()
	if err != nil {
		return scope{}, err
	}
	own, err := a.own.current()
	if err != nil {
		return scope{}, err
	}
	for k := w.kernel; k != nil; k = k.outer {
		p, err := a.projects.of(k.info.Dir)
		if err == nil {
			p, err = a.projects.guarded(k.dir, p)
		}
		if err != nil {
			return scope{}, fmt.Errorf("policy for %s: %w", k.info.Dir, err)
		}
		r := rule{project: p, kernel: k, grants: grants, own: own, profile: k.choose(p).Profile}
		if k == w.kernel && profile != "" {
			r.profile = profile
		}
		s.rules = append(s.rules, r)
	}
	return s, nil
}

// choose returns the profile of the kernel's session. It is what the first look at
// an approved nbhush.toml with profiles says, and then stays: a kernel's
// environment does not change either when a branch does.
func (k *kernel) choose(p project) policy.Choice {
	if !p.approved() {
		return policy.Choice{}
	}
	if c := k.chosen.Load(); c != nil {
		return *c
	}
	c, err := choose(p, policy.Wanted{Env: k.info.Profile}, k.notebook)
	var unknown *policy.UnknownProfileError
	switch {
	case errors.As(err, &unknown): // Decide says no to it
		return policy.Choice{Profile: unknown.Profile}
	case c.By != "":
		k.chosen.CompareAndSwap(nil, &c)
	}
	return c
}

// choose says which profile counts in p for a notebook, which may be "".
func choose(p project, w policy.Wanted, notebook string) (policy.Choice, error) {
	w.Branch = func() string { return policy.Branch(filepath.Dir(p.path)) }
	if notebook != "" {
		w.Notebook = func() string {
			profile, _ := policy.NotebookProfile(notebook) // a notebook that cannot be read says nothing
			return profile
		}
	}
	return p.config.Choose(w)
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
		rules[i].grants = append(slices.Clip(rules[i].grants), policy.Grant{Name: name, Profile: rules[i].profile, Answer: true})
	}
	return scope{rules: rules, asked: s.asked}
}
