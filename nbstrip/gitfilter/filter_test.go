package gitfilter

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"testing"

	"github.com/nbhush/nbhush/agent/match"
)

// one finds one value, called CANARY, as it is; with an error it finds nothing.
type one struct {
	value string
	err   error
}

func (o one) Find(_ context.Context, text []byte) (match.Result, error) {
	var r match.Result
	if o.err != nil {
		return r, o.err
	}
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(o.value))
		if i < 0 {
			break
		}
		at += i + len(o.value)
		r.Spans = append(r.Spans, match.Span{Start: at - len(o.value), End: at, Name: "CANARY"})
	}
	r.Tail = min(len(text), len(o.value)-1)
	if n := len(r.Spans); n > 0 && r.Spans[n-1].End > len(text)-r.Tail {
		r.Tail = max(r.Tail, len(text)-r.Spans[n-1].Start)
	}
	return r, nil
}

type lockedError struct{}

func (lockedError) Error() string { return "agent is locked" }
func (lockedError) Hint() string  { return "unlock it with: nbhush agent unlock" }

// notebook returns a notebook whose only output prints text.
func notebook(text string) string {
	return `{"cells": [{"cell_type": "code", "execution_count": 1, "id": "a", "metadata": {},
 "outputs": [{"name": "stdout", "output_type": "stream", "text": ["` + text + `\n"]}],
 "source": ["print(x)"]}],
 "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
`
}

// TestMain makes the test binary a filter for real git: NBHUSH_TEST_FILTER
// names a file with the value that its Finder finds. Without the file it is locked.
func TestMain(m *testing.M) {
	file := os.Getenv("NBHUSH_TEST_FILTER")
	if file == "" || len(os.Args) < 3 || os.Args[1] != "git" {
		os.Exit(m.Run())
	}
	f := &Filter{Report: func(err error) {
		_, _ = os.Stderr.WriteString("nbhush: " + err.Error() + "\n")
	}}
	if value, err := os.ReadFile(file); err == nil {
		f.Finder = one{value: string(value)}
	} else {
		f.Finder = one{err: lockedError{}}
	}
	var err error
	switch os.Args[2] {
	case "process":
		err = f.Process(context.Background(), os.Stdin, os.Stdout)
	case "copy":
		err = copyProcess(os.Stdin, os.Stdout)
	case "clean":
		err = f.Clean(context.Background(), "-", os.Stdin, os.Stdout)
	}
	if err != nil {
		_, _ = os.Stderr.WriteString("nbhush: " + err.Error() + "\n")
		os.Exit(1)
	}
	os.Exit(0)
}

func TestCleanRedacts(t *testing.T) {
	value := rand.Text()
	f := &Filter{Finder: one{value: value}}
	var out bytes.Buffer
	if err := f.Clean(t.Context(), "a.ipynb", bytes.NewReader([]byte(notebook(value))), &out); err != nil {
		t.Fatal(err)
	}
	if want := notebook("[nbhush:CANARY]"); out.String() != want {
		t.Errorf("got %s, want %s", out.String(), want)
	}
}

func TestCleanWhenNothingCanBeFound(t *testing.T) {
	value := rand.Text()
	yes := func(context.Context, string, []byte) bool { return true }
	no := func(context.Context, string, []byte) bool { return false }
	src := []byte(notebook(value))
	conflict := []byte("<<<<<<< ours\n" + value + "\n=======\n>>>>>>> theirs\n")
	locked := one{err: lockedError{}}
	for _, c := range []struct {
		name   string
		finder one
		src    []byte
		reads  bool
		stored func(context.Context, string, []byte) bool
		want   string // "" for refused
		report bool
	}{
		{"stored before", locked, src, false, yes, string(src), false},
		{"stored before, reading", locked, src, true, yes, string(src), false},
		{"reading", locked, src, true, no, withheld, true},
		{"storing", locked, src, false, no, "", false},
		{"unsafe, storing", one{value: value}, conflict, false, no, "", false},
		{"unsafe, reading", one{value: value}, conflict, true, no, withheld, true},
		{"unsafe, stored before", one{value: value}, conflict, false, yes, string(conflict), false},
		{"safe conflict", one{value: rand.Text()}, conflict, false, no, string(conflict), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var reports []error
			f := &Filter{
				Finder:  c.finder,
				Report:  func(err error) { reports = append(reports, err) },
				reading: func(context.Context) bool { return c.reads },
				stored:  c.stored,
			}
			var out bytes.Buffer
			err := f.Clean(t.Context(), "a.ipynb", bytes.NewReader(c.src), &out)
			var refused *RefusedError
			if (c.want == "") != errors.As(err, &refused) {
				t.Fatalf("error %v", err)
			}
			if out.String() != c.want {
				t.Errorf("got %q, want %q", out.String(), c.want)
			}
			if (len(reports) > 0) != c.report {
				t.Errorf("reports %v", reports)
			}
			if c.finder.err != nil && err != nil && !errors.As(err, new(lockedError)) {
				t.Errorf("the hint is lost in %v", err)
			}
		})
	}
}

func TestReportsOnce(t *testing.T) {
	n := 0
	f := &Filter{
		Finder:  one{err: lockedError{}},
		Report:  func(error) { n++ },
		reading: func(context.Context) bool { return true },
		stored:  func(context.Context, string, []byte) bool { return false },
	}
	for range 1000 {
		if _, err := f.clean(t.Context(), rand.Text()+".ipynb", []byte(notebook("x"))); err != nil {
			t.Fatal(err)
		}
	}
	if n != 1 {
		t.Errorf("%d reports of one reason", n)
	}
}
