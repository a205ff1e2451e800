package provider

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/nbhush/nbhush/agent/secret"
)

// ProtocolVersion is the version of the provider protocol: lines of JSON, one
// question a line on a program's standard input, one answer a line on its
// standard output, in any order.
//
//	{"nbhush":1,"id":7,"provider":"ours","ref":"ours://a/b?x=1#f","path":"a/b","options":{"x":"1"},
//	 "settings":{"region":"eu"},"login":{"token":"…"},"dir":"/project","deadline_ms":10000}
//	{"id":7,"value":"…"}            or value_base64, or fields, an object of strings
//	{"id":7,"fields":{"user":"…","password":"…"},"lease_id":"…","lease_seconds":3600,"renewable":false}
//	{"id":7,"error":"denied"}       or missing throttled unreachable failed setup; retry_after_seconds
//
// A program that answers one question and ends is started again for the next one;
// one that reads on is kept while it is asked, and ends when its input does. What
// it writes to standard error is not looked at.
const ProtocolVersion = 1

// question and answer are the lines. They hold values.
type question struct {
	Version  int               `json:"nbhush"`
	ID       int               `json:"id"`
	Provider string            `json:"provider"`
	Ref      string            `json:"ref"`
	Path     string            `json:"path"`
	Options  map[string]string `json:"options,omitempty"`
	Settings map[string]string `json:"settings,omitempty"`
	Login    map[string]string `json:"login,omitempty"`
	Dir      string            `json:"dir"`
	Deadline int64             `json:"deadline_ms"`
}

type answer struct {
	ID         int               `json:"id"`
	Value      *string           `json:"value,omitempty"`
	Base64     []byte            `json:"value_base64,omitempty"`
	Fields     map[string]string `json:"fields,omitempty"`
	LeaseID    string            `json:"lease_id,omitempty"`
	Lease      int               `json:"lease_seconds,omitempty"`
	Renewable  bool              `json:"renewable,omitempty"`
	Error      Kind              `json:"error,omitempty"`
	RetryAfter int               `json:"retry_after_seconds,omitempty"`
	Reason     int               `json:"reason,omitempty"` // of reasons, from nbhush-providers
}

// reasons are the words that nbhush-providers can say beside a Kind: it sends
// their place in this list, so that no text of a server can come along.
var reasons = []struct{ what, mend string }{
	{},
	{"its certificate does not prove that it is the server", "if its certificate is of your own authority, name that file: ca = \"ca.pem\""},
	{"nobody is logged in", "log in with the cloud's own program (aws sso login, az login, gcloud auth application-default login), or set a profile"},
	{"its answer is longer than nbhush takes", ""},
	{"it sends us to another address", "set address to the server that it names"},
	{"a setting is missing or not understood", "see the providers in the README"},
	{"its answer broke off", ""},
	{"it did not answer in time", ""},
	{"its host is not found", ""},
	{"its address is without TLS, which only this machine's own may be", "let its address begin with https://"},
	{"the region is not known", "add to nbhush.toml: region = \"eu-central-1\" below [providers.…], or ?region=… to the reference"},
	{"the login was refused", "log in again (aws sso login, az login, gcloud auth application-default login), or check the settings of the login and its rights"},
}

// Reasons of a Failure, in the words of this package.
const (
	ReasonNone = iota
	ReasonCertificate
	ReasonLogin
	ReasonTooLong
	ReasonRedirect
	ReasonSetting
	ReasonHalf
	ReasonTime
	ReasonHost
	ReasonPlain
	ReasonRegion
	ReasonRefused
)

// Failure returns an *Error with a reason of the list above, for a Provider in
// another program than nbhush.
func Failure(kind Kind, reason int) *Error {
	e := &Error{Kind: kind, What: kindWords[kind], reason: reason}
	if reason > 0 && reason < len(reasons) {
		e.What, e.Mend = reasons[reason].what, reasons[reason].mend
	}
	return e
}

// kindWords are what is said of a foreign program's answer, whose own words may
// hold anything.
var kindWords = map[Kind]string{
	Denied:      "permission denied",
	Missing:     "there is no such secret",
	Throttled:   "it is asked too often",
	Unreachable: "it cannot be reached",
	Malformed:   "its answer is not what its API describes",
	TooLong:     "its answer is longer than nbhush takes",
	Failed:      "it answered with an error of its own",
	Setup:       "it is not set up",
}

func ask(ctx context.Context, q Query) (question, error) {
	out := question{
		Version: ProtocolVersion, Provider: firstOf(q.Settings["type"], q.Ref.Scheme), Ref: q.Ref.String(),
		Path: q.Ref.Path, Options: q.Ref.Options(), Dir: q.Dir, Settings: map[string]string{}, Login: map[string]string{},
	}
	for key, v := range q.Settings {
		r, err := secret.ParseRef(v)
		if _, ours := localSchemes[r.Scheme]; err != nil || !ours {
			out.Settings[key] = v
			continue
		}
		value, err := q.Login(ctx, key)
		if err != nil {
			return question{}, err
		}
		out.Login[key] = string(value.Reveal())
		value.Wipe()
	}
	if end, ok := ctx.Deadline(); ok {
		out.Deadline = time.Until(end).Milliseconds()
	}
	return out, nil
}

// localSchemes are those that a credential may come from.
var localSchemes = map[string]struct{}{
	"store": {}, "env": {}, "file": {}, "docker": {}, "dotenv": {}, "json": {}, "yaml": {}, "ini": {}, "netrc": {},
}

func (a answer) document() (Document, error) {
	if a.Error != "" {
		kind := a.Error
		if kindWords[kind] == "" {
			kind = Failed
		}
		e := Failure(kind, a.Reason)
		e.RetryAfter = time.Duration(min(max(a.RetryAfter, 0), 3600)) * time.Second
		return Document{}, e
	}
	doc := Document{Lease: Lease{a.LeaseID, time.Duration(min(max(a.Lease, 0), 1<<25)) * time.Second, false}}
	if a.Fields != nil {
		doc.Fields = map[string]secret.Value{}
	}
	for key, v := range a.Fields {
		doc.Fields[key] = secret.New([]byte(v))
	}
	switch {
	case a.Value != nil:
		doc.Value = secret.New([]byte(*a.Value))
	case a.Base64 != nil:
		doc.Value = secret.New(a.Base64)
	case a.Fields == nil:
		return Document{}, Failure(Malformed, ReasonNone)
	}
	return doc, nil
}

// Serve is the other side of the protocol: it answers the questions of in with
// providers, by their type, until in ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer, providers map[string]Provider) error {
	var mu sync.Mutex
	var all sync.WaitGroup
	defer all.Wait()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, MaxAnswer)
	for lines.Scan() {
		var q question
		err := json.Unmarshal(lines.Bytes(), &q)
		clear(lines.Bytes())
		if err != nil || q.Version != ProtocolVersion {
			return errors.New("a question is not of the provider protocol, version 1")
		}
		all.Go(func() {
			b, err := json.Marshal(reply1(ctx, q, providers[q.Provider]))
			defer clear(b)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			_, _ = out.Write(append(b, '\n')) // who asked is gone
		})
	}
	return lines.Err()
}

func reply1(ctx context.Context, asked question, p Provider) answer {
	a := answer{ID: asked.ID}
	ref, err := secret.ParseRef(asked.Ref)
	if err != nil || p == nil {
		a.Error = Setup
		return a
	}
	ctx, cancel := context.WithTimeout(ctx, min(time.Duration(max(asked.Deadline, 1))*time.Millisecond, maxTime))
	defer cancel()
	q := Query{Ref: ref, Settings: asked.Settings, Dir: asked.Dir, Env: func(string) string { return "" }}
	for key := range asked.Login {
		q.Settings[key] = "store://X"
	}
	q.login = func(_ context.Context, key string) (secret.Value, error) {
		return secret.New([]byte(asked.Login[key])), nil
	}
	doc, err := p.Read(ctx, q)
	if err != nil {
		e := about(ref, err)
		a.Error, a.Reason, a.RetryAfter = e.Kind, e.reason, int(e.RetryAfter.Seconds())
		if ctx.Err() != nil {
			a.Error, a.Reason = Unreachable, ReasonTime
		}
		return a
	}
	defer doc.Wipe()
	a.LeaseID, a.Lease, a.Renewable = doc.Lease.ID, int(doc.Lease.For.Seconds()), doc.Lease.Renewable
	if doc.Value.Len() > 0 {
		if text := doc.Value.Reveal(); utf8.Valid(text) {
			s := string(text)
			a.Value = &s
		} else {
			a.Base64 = append([]byte(nil), text...)
		}
	}
	for key, v := range doc.Fields {
		if a.Fields == nil {
			a.Fields = map[string]string{}
		}
		a.Fields[strings.ToValidUTF8(key, "?")] = string(v.Reveal())
	}
	if a.Value == nil && a.Base64 == nil && a.Fields == nil {
		a.Error = Missing
	}
	return a
}
