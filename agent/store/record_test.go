package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

// show is a record as text, for comparison.
func show(r Record) string {
	var b bytes.Buffer
	for _, v := range r.Versions {
		fmt.Fprintf(&b, "%s@%d/%d ", v.Value.Reveal(), v.Since.UnixMicro(), v.Expires.UnixMicro())
	}
	fmt.Fprintf(&b, "-%d", r.Removed.UnixMicro())
	return b.String()
}

func at(n int) time.Time { return time.Unix(1_700_000_000, int64(n)*1000).UTC() }

// randomRecord collides with others often: few values, few times.
func randomRecord(r *rand.Rand) Record {
	var rec Record
	for range r.IntN(maxVersions + 4) {
		v := Version{Value: secret.New(fmt.Appendf(nil, "value-%d", r.IntN(20))), Since: at(r.IntN(30))}
		if r.IntN(3) == 0 {
			v.Expires = at(r.IntN(9))
		}
		rec.Versions = append(rec.Versions, v)
	}
	if r.IntN(3) == 0 {
		rec.Removed = at(r.IntN(30))
	}
	rec.settle()
	return rec
}

func TestMergeIsAUnion(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		a, b, c := randomRecord(r), randomRecord(r), randomRecord(r)
		if ab, ba := show(Merge(a, b)), show(Merge(b, a)); ab != ba {
			t.Fatalf("not commutative:\n%s\n%s", ab, ba)
		}
		if l, r := show(Merge(Merge(a, b), c)), show(Merge(a, Merge(b, c))); l != r {
			t.Fatalf("not associative:\n%s\n%s", l, r)
		}
		if aa := show(Merge(a, a)); aa != show(a) {
			t.Fatalf("not idempotent:\n%s\n%s", show(a), aa)
		}
		m := Merge(a, b)
		for _, side := range []Record{a, b} {
			v, ok := side.Current()
			if ok && !holdsValue(m, v.Value) && len(m.Versions) < maxVersions {
				t.Fatalf("a current value is lost: %s\n%s\n%s", show(a), show(b), show(m))
			}
			if m.Removed.Before(side.Removed) {
				t.Fatalf("a removal is lost: %s", show(m))
			}
		}
	}
}

func holdsValue(r Record, v secret.Value) bool {
	for _, have := range r.Versions {
		if have.Value.Equal(v) {
			return true
		}
	}
	return false
}

func TestBothSidesChanged(t *testing.T) {
	var common Record
	common.Add(Version{Value: secret.New([]byte("common")), Since: at(1)})
	a, b := common.Clone(), common.Clone()
	a.Add(Version{Value: secret.New([]byte("of-a")), Since: at(2)})
	b.Add(Version{Value: secret.New([]byte("of-b")), Since: at(3)})
	m := Merge(a, b)
	v, ok := m.Current()
	if !ok || string(v.Value.Reveal()) != "of-b" {
		t.Errorf("the last writer does not win: %s", show(m))
	}
	if f := m.Former(); len(f) != 2 || string(f[0].Value.Reveal()) != "of-a" {
		t.Errorf("the other change is not the newest former one: %s", show(m))
	}
}

func TestRecordTimes(t *testing.T) {
	var r Record
	r.Add(Version{Value: secret.New([]byte("one")), Since: at(10)})
	r.Add(Version{Value: secret.New([]byte("two")), Since: at(5)}) // the clock was set back
	if v, ok := r.Current(); !ok || string(v.Value.Reveal()) != "two" {
		t.Errorf("current: %s", show(r))
	}
	r.Remove(at(1))
	if _, ok := r.Current(); ok {
		t.Errorf("removed, and still there: %s", show(r))
	}
	if len(r.Former()) != 2 {
		t.Errorf("former: %s", show(r))
	}
	r.Add(Version{Value: secret.New([]byte("one")), Since: at(2)})
	if v, ok := r.Current(); !ok || string(v.Value.Reveal()) != "one" || len(r.Versions) != 2 {
		t.Errorf("an old value again: %s", show(r))
	}
	r.Forget()
	if len(r.Versions) != 1 {
		t.Errorf("forget: %s", show(r))
	}
}

func TestLongValuesLeaveTwoVersions(t *testing.T) {
	var r Record
	for i := range 4 {
		r.Add(Version{Value: secret.New(bytes.Repeat([]byte{byte(i)}, 1<<20)), Since: at(i)})
	}
	if len(r.Versions) != minVersions {
		t.Errorf("%d versions of 1 MiB are kept, want %d", len(r.Versions), minVersions)
	}
}

func FuzzOpenRecord(f *testing.F) {
	f.Add([]byte(`{"versions":[{"value":"dHdv","since":"2026-01-02T03:04:05Z","expires":"2027-01-01T00:00:00Z"}],"removed":"2026-01-01T00:00:00Z"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := OpenRecord(secret.New(src))
		if err != nil {
			return
		}
		sealed, err := r.Seal()
		if err != nil {
			return // a year that JSON cannot say
		}
		again, err := OpenRecord(sealed)
		if err != nil || show(again) != show(r) {
			t.Fatalf("%v: %s became %s", err, show(r), show(again))
		}
	})
}
