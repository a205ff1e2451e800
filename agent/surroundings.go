package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/ambient"
	"github.com/nbhush/nbhush/agent/match"
)

const (
	lookEach        = 5 * time.Second // at the files around a notebook, while a kernel there prints
	maxSurroundings = 64              // folders in which kernels run
)

// surroundings find, in what the kernels of a folder show, the secrets that lie
// around there: in .env files and in those of the user's programs. They are
// known for matching and never served. It is safe for concurrent use.
type surroundings struct {
	home string // of the user; "" for no files of programs
	now  func() time.Time

	mu   sync.Mutex
	dirs map[string]*surrounding
}

// surrounding is one folder.
type surrounding struct {
	mu     sync.Mutex
	files  *ambient.Files
	looked time.Time
	set    *match.Set // nil if there are no secrets
	gone   bool       // forgotten: another one has its place
}

// find adds what is found of the secrets around dir to what was found in text.
func (ss *surroundings) find(ctx context.Context, dir string, text []byte, found match.Result) (match.Result, error) {
	for {
		set, gone := ss.of(dir).current(ss.now())
		switch {
		case gone:
			continue
		case set == nil:
			return found, nil
		}
		mine, err := set.Find(ctx, text)
		if errors.Is(err, match.ErrWiped) {
			continue // replaced, or forgotten, since
		}
		if err != nil {
			return match.Result{}, err
		}
		return match.Join(fixed(found), fixed(mine)).Find(ctx, text)
	}
}

// fixed is a Finder that found what it found.
type fixed match.Result

func (f fixed) Find(context.Context, []byte) (match.Result, error) { return match.Result(f), nil }

func (ss *surroundings) of(dir string) *surrounding {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.dirs[dir]
	if s == nil {
		if len(ss.dirs) >= maxSurroundings {
			ss.forgetAll()
		}
		s = &surrounding{files: ambient.Around(ss.home, dir)}
		if ss.dirs == nil {
			ss.dirs = map[string]*surrounding{}
		}
		ss.dirs[dir] = s
	}
	return s
}

// current returns the set of what the files hold now.
func (s *surrounding) current(now time.Time) (set *match.Set, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return nil, true
	}
	if s.looked.IsZero() || now.Sub(s.looked) >= lookEach {
		if s.looked = now; s.files.Changed() {
			s.read()
		}
	}
	return s.set, false
}

func (s *surrounding) read() {
	known := s.files.Read()
	old := s.set
	s.set = nil
	if len(known) > 0 {
		s.set = match.New(known)
	}
	for _, k := range known {
		k.Value.Wipe()
	}
	if old != nil {
		old.Wipe()
	}
}

// forget wipes everything: nothing is known of any folder until somebody asks.
func (ss *surroundings) forget() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.forgetAll()
}

func (ss *surroundings) forgetAll() {
	for dir, s := range ss.dirs {
		delete(ss.dirs, dir)
		s.mu.Lock()
		set := s.set
		s.set, s.gone = nil, true
		s.mu.Unlock()
		if set != nil {
			set.Wipe()
		}
	}
}
