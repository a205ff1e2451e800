package proxy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/kernelhook/wire"
)

func TestAllowsStdin(t *testing.T) {
	long := `"code": "` + string(make([]byte, 1000)) + `"`
	for content, want := range map[string]bool{
		`{"allow_stdin": true}`:                                  true,
		`{"allow_stdin":true, ` + long + `}`:                     true,
		`{` + long + `, "allow_stdin" : true, "silent": false}`:  true,
		`{"allow_stdin": false}`:                                 false,
		`{"allow_stdin": false, ` + long + `}`:                   false,
		`{"code": "\"allow_stdin\": true"}`:                      false,
		`{"code": "\"allow_stdin\": true", "allow_stdin": true}`: true,
		`{"code": "", "allow_stdin"`:                             false,
		`{}`:                                                     false,
		``:                                                       false,
	} {
		if got := allowsStdin([]byte(content)); got != want {
			t.Errorf("%.60s: %v", content, got)
		}
	}
}

// FuzzAllowsStdin: what a client writes is understood as encoding/json does.
func FuzzAllowsStdin(f *testing.F) {
	f.Add(`x = {"allow_stdin": false}`, true, true)
	f.Add(`\"allow_stdin\":true`, false, false)
	f.Fuzz(func(t *testing.T, code string, allow, codeLast bool) {
		c, err := json.Marshal(code)
		if err != nil {
			t.Skip()
		}
		content := fmt.Sprintf(`{"code":%s,"silent":false,"allow_stdin":%v}`, c, allow)
		if codeLast {
			content = fmt.Sprintf(`{"silent":false,"allow_stdin": %v,"code": %s}`, allow, c)
		}
		if allowsStdin([]byte(content)) != allow {
			t.Errorf("%s", content)
		}
	})
}

// A client has one question at a time, and every answer goes where it belongs.
func TestTurns(t *testing.T) {
	signer, err := wire.NewSigner("hmac-sha256", []byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	reply := func(to, value string) wire.Message {
		parent := "{}"
		if to != "" {
			parent = `{"msg_id":"` + to + `"}`
		}
		return wire.New(signer, nil, []byte(`{"msg_type":"input_reply"}`), []byte(parent), []byte("{}"), []byte(`{"value":"`+value+`"}`), nil)
	}
	yes := func() bool { return true }
	peer, one, two := []byte("client"), &Cell{id: "1", peer: []byte("client")}, &Cell{id: "2", peer: []byte("client")}
	newQuestion := func(c *Cell, id string) *question {
		return &question{id: questionPrefix + id, cell: c.id, answer: make(chan string, 1)}
	}
	var sent []string
	asks := func(ts *turns, c *Cell, what string) {
		ts.kernelAsks(peer, c.id, func() { sent = append(sent, what) })
	}
	check := func(t *testing.T, what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	for _, named := range []bool{true, false} { // whether the client says what it answers
		to := func(id string) string {
			if named {
				return id
			}
			return ""
		}
		t.Run("the kernel waits for the hook", func(t *testing.T) {
			ts, q := new(turns), newQuestion(one, "a")
			sent = nil
			check(t, "begin", ts.begin(peer, q) == nil, true)
			asks(ts, one, "k1")
			asks(ts, two, "k2")
			asks(ts, one, "k3")
			check(t, "sent", len(sent), 0)
			check(t, "to the kernel", ts.answered(peer, reply(to(q.id), "o"), yes), false)
			check(t, "answer", <-q.answer, "o")
			check(t, "sent in order", slices.Equal(sent, []string{"k1", "k2", "k3"}), true)
			wait := ts.begin(peer, newQuestion(two, "b"))
			for range 2 {
				check(t, "to the kernel", ts.answered(peer, reply(to("k"), "x"), yes), true)
				select {
				case <-wait:
					t.Error("the hook asks while the kernel does")
				default:
				}
			}
			ts.ended(one)
			ts.ended(two)
			<-wait
			check(t, "nothing is kept", len(ts.of), 0)
		})
		t.Run("a cell ends while it is asked", func(t *testing.T) {
			ts, q := new(turns), newQuestion(one, "a")
			sent = nil
			ts.begin(peer, q)
			asks(ts, one, "k1")
			asks(ts, two, "k2")
			ts.ended(one)
			check(t, "only that of the other cell", slices.Equal(sent, []string{"k2"}), true)
			check(t, "its answer", ts.answered(peer, reply(to("k2"), "x"), yes), true)
		})
		t.Run("a late answer", func(t *testing.T) {
			ts, q := new(turns), newQuestion(one, "a")
			ts.begin(peer, q)
			ts.ended(one)
			check(t, "to the kernel", ts.answered(peer, reply(to(q.id), "always"), yes), false)
			next := newQuestion(two, "b")
			check(t, "begin", ts.begin(peer, next) == nil, true)
			if named {
				check(t, "to the kernel", ts.answered(peer, reply(q.id, "always"), yes), false)
				check(t, "an answer to another question", len(next.answer), 0)
			}
			check(t, "to the kernel", ts.answered(peer, reply(to(next.id), "n"), yes), false)
			check(t, "answer", <-next.answer, "n")
			check(t, "what nobody asked for", ts.answered(peer, reply("", "x"), yes), true)
		})
		t.Run("a forged answer", func(t *testing.T) {
			ts, q := new(turns), newQuestion(one, "a")
			ts.begin(peer, q)
			check(t, "to the kernel", ts.answered(peer, reply(to(q.id), "always"), func() bool { return false }), false)
			check(t, "taken", len(q.answer), 0)
			check(t, "of another client", ts.answered([]byte("other"), reply(q.id, "always"), yes), false)
			check(t, "taken", len(q.answer), 0)
		})
	}
}

func TestCells(t *testing.T) {
	signer, err := wire.NewSigner("hmac-sha256", []byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	var cs cells
	began := func(peer, msgType, id string) {
		header := `{"msg_type":"` + msgType + `","msg_id":"` + id + `"}`
		noteCell(&cs, []byte(peer), wire.New(signer, nil, []byte(header), []byte("{}"), []byte("{}"), []byte(`{"allow_stdin":true}`), nil).Frames)
	}
	replied := func(id string) *Cell {
		return cs.replied(wire.New(signer, nil, []byte("{}"), []byte(`{"msg_id":"`+id+`"}`), []byte("{}"), []byte("{}"), nil))
	}
	began("a", "kernel_info_request", "0")
	if cs.find("0") != nil {
		t.Error("what is no cell is one")
	}
	began("a", "execute_request", "1")
	began("b", "execute_request", "2")
	began("c", "execute_request", "1") // a forged id
	if c := cs.find("1"); c == nil || string(c.peer) != "a" || !c.answers {
		t.Errorf("%+v", c)
	}
	if c := cs.find("unknown"); c == nil || c.id != "1" {
		t.Errorf("%+v is not the one that runs", c)
	}
	if c := replied("1"); c == nil {
		t.Error("it did not end")
	} else {
		<-c.ended
	}
	if c := cs.find("1"); c == nil || c.id != "2" {
		t.Errorf("%+v is not the one that runs", c)
	}
	if replied("1") != nil || replied("2") == nil || cs.find("") != nil {
		t.Error("cells ended wrongly")
	}
	for i := range maxCells + 1 {
		began("a", "execute_request", strconv.Itoa(i))
	}
	if n := cs.count.Load(); n != maxCells {
		t.Errorf("%d are remembered", n)
	}
}

// BenchmarkCells is what noting a cell, and its end, adds to a round trip.
func BenchmarkCells(b *testing.B) {
	signer, err := wire.NewSigner("hmac-sha256", []byte("k"))
	if err != nil {
		b.Fatal(err)
	}
	header := []byte(`{"msg_id":"0123456789abcdef_1","msg_type":"execute_request","username":"u","session":"0123456789abcdef","date":"2026-11-21T12:00:00.000000Z","version":"5.4"}`)
	for name, size := range map[string]int{"100 B": 100, "100 KB": 100_000} {
		content := []byte(`{"silent":false,"allow_stdin":true,"code":"` + strings.Repeat("x", size) + `"}`)
		frames := wire.New(signer, nil, header, []byte("{}"), []byte("{}"), content, nil).Frames
		reply := wire.New(signer, nil, []byte("{}"), header, []byte("{}"), []byte("{}"), nil)
		b.Run(name, func(b *testing.B) {
			var cs cells
			for b.Loop() {
				noteCell(&cs, []byte("client"), frames)
				if cs.replied(reply) == nil {
					b.Fatal("it did not end")
				}
			}
		})
	}
}

// noteCell does with a request on shell what begin does.
func noteCell(cs *cells, peer []byte, frames [][]byte) {
	if c := cellOf(peer, frames); c != nil {
		cs.began(c)
	}
}
