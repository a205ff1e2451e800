package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

// Limits of one record. The newest two versions are always kept: what was
// there before, and, after two machines changed the same secret, the other's.
const (
	maxVersions     = 11 // the current one and ten former ones
	maxVersionBytes = 256 << 10
	minVersions     = 2
)

// tick is the unit of the times in a record, so that they survive JSON.
const tick = time.Microsecond

// Version is a value that a secret has or had.
type Version struct {
	Value   secret.Value
	Since   time.Time
	Expires time.Time // zero: never
}

// Record is the life of one secret: its values, newest first and none twice, and
// when it was last removed. The values belong to the record. The zero Record is
// that of a secret nobody has heard of. Two records of the same secret, of two
// machines, have a union: see Merge.
type Record struct {
	Versions []Version
	Removed  time.Time
}

// Current returns the version that counts, and false where there is none or the
// removal is newer.
func (r Record) Current() (Version, bool) {
	if len(r.Versions) == 0 || !r.Versions[0].Since.After(r.Removed) {
		return Version{}, false
	}
	return r.Versions[0], true
}

// Former returns the versions that do not count any more, newest first.
func (r Record) Former() []Version {
	if _, ok := r.Current(); ok {
		return r.Versions[1:]
	}
	return r.Versions
}

// Add makes v, which belongs to r from here on, the current version. Its Since
// is moved behind everything that r knows, so that a clock that was set back
// does not make it an old one. A value that r had before is there once, as new.
func (r *Record) Add(v Version) {
	v.Since, v.Expires = r.after(v.Since), v.Expires.UTC().Truncate(tick)
	r.Versions = append(r.Versions, v)
	r.settle()
}

// Remove notes that the secret is gone since then. Its values stay.
func (r *Record) Remove(since time.Time) { r.Removed = r.after(since) }

// Forget wipes every former value.
func (r *Record) Forget() {
	keep := len(r.Versions) - len(r.Former())
	for _, v := range r.Versions[keep:] {
		v.Value.Wipe()
	}
	r.Versions = r.Versions[:keep]
}

// after returns t, or a moment after everything in r, if that is later.
func (r *Record) after(t time.Time) time.Time {
	t = t.UTC().Truncate(tick)
	last := r.Removed
	for _, v := range r.Versions {
		if v.Since.After(last) {
			last = v.Since
		}
	}
	if !t.After(last) {
		return last.Add(tick)
	}
	return t
}

// Merge returns the union of two records of one secret, which shares their
// values. The last writer's value is the current one, and the other's is the
// newest former one. It does not matter which record comes first, nor in which
// order three are merged.
func Merge(a, b Record) Record {
	r := Record{Versions: slices.Concat(a.Versions, b.Versions), Removed: a.Removed}
	if b.Removed.After(r.Removed) {
		r.Removed = b.Removed
	}
	r.settle()
	return r
}

// settle puts the versions in order, and drops doubles and what is too much.
// Any part of a sorted union that it drops here is dropped from every larger
// union too, which is why the order of merges does not matter.
func (r *Record) settle() {
	slices.SortStableFunc(r.Versions, func(a, b Version) int {
		if c := b.Since.Compare(a.Since); c != 0 {
			return c
		}
		if c := bytes.Compare(b.Value.Reveal(), a.Value.Reveal()); c != 0 {
			return c
		}
		return b.Expires.Compare(a.Expires)
	})
	var kept []Version
	size := 0
	for _, v := range r.Versions {
		if slices.ContainsFunc(kept, func(k Version) bool { return k.Value.Equal(v.Value) }) {
			continue
		}
		size += v.Value.Len()
		if len(kept) == maxVersions || len(kept) >= minVersions && size > maxVersionBytes {
			break
		}
		kept = append(kept, v)
	}
	r.Versions = kept
}

// Clone returns a record with values of its own.
func (r Record) Clone() Record {
	r.Versions = slices.Clone(r.Versions)
	for i := range r.Versions {
		r.Versions[i].Value = r.Versions[i].Value.Clone()
	}
	return r
}

// Wipe overwrites the values.
func (r Record) Wipe() {
	for _, v := range r.Versions {
		v.Value.Wipe()
	}
}

// recordJSON is a record where it may stand in plain: inside of something that
// is encrypted.
type recordJSON struct {
	Versions []versionJSON `json:"versions,omitempty"`
	Removed  time.Time     `json:"removed,omitzero"`
}

type versionJSON struct {
	Value   []byte    `json:"value"`
	Since   time.Time `json:"since"`
	Expires time.Time `json:"expires,omitzero"`
}

// Seal returns r, values included, as a value to be encrypted.
func (r Record) Seal() (secret.Value, error) {
	j := recordJSON{Removed: r.Removed}
	for _, v := range r.Versions {
		j.Versions = append(j.Versions, versionJSON{v.Value.Reveal(), v.Since, v.Expires})
	}
	out, err := json.Marshal(j)
	return secret.New(out), err
}

var errRecord = errors.New("it is not the record of a secret")

// OpenRecord is the inverse of Seal. Its errors repeat nothing of v.
func OpenRecord(v secret.Value) (r Record, err error) {
	var j recordJSON
	if json.Unmarshal(v.Reveal(), &j) != nil {
		return r, errRecord
	}
	for _, v := range j.Versions {
		r.Versions = append(r.Versions, Version{secret.New(v.Value), v.Since.UTC().Truncate(tick), v.Expires.UTC().Truncate(tick)})
	}
	r.Removed = j.Removed.UTC().Truncate(tick)
	r.settle() // somebody else's program may have written it
	return r, nil
}
