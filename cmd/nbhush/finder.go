package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/client"
	"github.com/nbhush/nbhush/agent/home"
	"github.com/nbhush/nbhush/agent/match"
)

// finder asks this user's agent for known values and looks; it connects when
// the first text comes, so that a filter that only smudges starts no agent.
func (a *app) finder() *lazyFinder { return &lazyFinder{app: a, connect: a.client().Stream} }

// lazyFinder is safe for concurrent use.
type lazyFinder struct {
	app     *app
	connect func(context.Context) (*client.Stream, error)

	mu     sync.Mutex
	stream *client.Stream
	alone  match.Finder // of looks only, in this process, once the agent did not answer
}

func (l *lazyFinder) Find(ctx context.Context, text []byte) (match.Result, error) {
	s, err := l.open(ctx)
	var r match.Result
	if err == nil {
		r, err = s.Search(ctx, text)
	}
	if !errors.Is(err, &api.Error{Code: api.CodeAway}) && !errors.Is(err, &api.Error{Code: api.CodeLocked}) {
		return r, err
	}
	alone, mayNot := l.withoutAgent(err)
	if mayNot != nil || alone == nil {
		return match.Result{}, errors.Join(err, mayNot)
	}
	return alone.Find(ctx, text)
}

func (l *lazyFinder) open(ctx context.Context) (*client.Stream, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream == nil {
		s, err := l.connect(ctx)
		if err != nil {
			return nil, err
		}
		l.stream = s
	}
	return l.stream, nil
}

// tell tells an agent that was asked already what is where no secret should be.
// That nobody could be told changes nothing for who asks.
func (l *lazyFinder) tell(ctx context.Context, all []api.Found) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream != nil {
		_ = l.stream.Found(ctx, all)
	}
}

// withoutAgent returns what goes on when the agent does not answer: nil, unless
// the user chose patterns, and is told so once.
func (l *lazyFinder) withoutAgent(why error) (match.Finder, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.alone != nil {
		return l.alone, nil
	}
	patterns, err := whenLocked(l.app.home.ConfigFile())
	if err != nil || !patterns {
		return nil, err
	}
	looks, err := l.app.looks()
	if err != nil {
		return nil, err
	}
	l.app.warningf("%v: stored values were not looked for, only what looks like a secret", why)
	l.alone = looks
	return looks, nil
}

// whenLocked reads when_locked in the user's settings: true for "patterns",
// false for "refuse" and where it is not set.
func whenLocked(path string) (patterns bool, err error) {
	var settings struct {
		WhenLocked string `toml:"when_locked"`
	}
	if err := home.ReadSettings(path, &settings); err != nil {
		return false, err
	}
	switch settings.WhenLocked {
	case "patterns":
		return true, nil
	case "", "refuse":
		return false, nil
	}
	return false, fmt.Errorf(`settings %s: when_locked is "refuse" or "patterns"`, path)
}
