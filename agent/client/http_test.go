package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
)

// One connection serves request after request, and as many as are kept serve many at
// once; each gets its own answer, and nothing of it stays in a buffer.
func TestKeptConnections(t *testing.T) {
	path := tempSocket(t)
	var mu sync.Mutex
	from := map[string]bool{}
	values := map[string]string{}
	for range 50 {
		values[rand.Text()] = rand.Text() + string(bytes.Repeat([]byte("v"), len(values)*500))
	}
	fake(t, path, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from[r.Context().Value(connKey{}).(string)] = true
		mu.Unlock()
		var q api.GetRequest
		_ = json.NewDecoder(r.Body).Decode(&q)
		w.Header().Set(api.VersionHeader, strconv.Itoa(api.Version))
		_ = json.NewEncoder(w).Encode(api.GetResult{Values: map[string][]byte{q.Names[0]: []byte(values[q.Names[0]])}})
	})
	c := &Client{Socket: path, NoStart: true}
	get := func(name string) {
		got, err := c.Get(t.Context(), []secret.Name{secret.Name(name)}, "")
		if err != nil || string(got[secret.Name(name)].Reveal()) != values[name] {
			t.Errorf("%s: %d bytes, want %d; %v", name, got[secret.Name(name)].Len(), len(values[name]), err)
		}
	}
	for name := range values {
		get(name)
		for _, k := range c.kept.idle {
			if len(bytes.Trim(k.buffer, "\x00")) > 0 {
				t.Fatal("the buffer of a connection still holds an answer")
			}
		}
	}
	mu.Lock()
	if len(from) != 1 {
		t.Errorf("%d connections for one request after another", len(from))
	}
	mu.Unlock()
	var all sync.WaitGroup
	for name := range values {
		all.Go(func() { get(name) })
	}
	all.Wait()
	if len(c.kept.idle) == 0 || len(c.kept.idle) > maxIdle {
		t.Errorf("%d connections are kept", len(c.kept.idle))
	}
	c.Close()
	if len(c.kept.idle) != 0 {
		t.Error("connections are kept after Close")
	}
}

type connKey struct{}

// What is no answer is an error, of a connection that is not kept.
func TestAnswersThatAreNone(t *testing.T) {
	version := api.VersionHeader + ": " + strconv.Itoa(api.Version) + "\r\n"
	for name, reply := range map[string]func(net.Conn){
		"an endless header": func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, "X: "+rand.Text()+"\r\n"); err != nil {
					return
				}
			}
		},
		"half an answer": func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+version+"Content-Length: 9\r\n\r\n{}")
		},
		"nothing": func(net.Conn) {},
		"no HTTP": func(c net.Conn) { _, _ = io.WriteString(c, "\x00\x01\x02\r\n\r\n") },
		"a body that is one": func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+version+"Content-Length: 2\r\n\r\n{}{}")
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := tempSocket(t)
			serve(t, path, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 4096))
				reply(c)
			})
			c := &Client{Socket: path, NoStart: true}
			if _, err := c.Status(t.Context()); (err == nil) != (name == "a body that is one") {
				t.Error(err)
			}
			if len(c.kept.idle) > 0 {
				t.Error("the connection is kept")
			}
		})
	}
}

// Who does not wait any longer leaves at once, and the connection with him.
func TestRequestGivenUp(t *testing.T) {
	path := tempSocket(t)
	arrived := make(chan struct{})
	fake(t, path, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done() // the client is gone
	})
	c := &Client{Socket: path, NoStart: true}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	if _, err := c.Status(ctx); !errors.Is(err, &api.Error{Code: api.CodeAway}) || len(c.kept.idle) > 0 {
		t.Errorf("%v, %d connections kept", err, len(c.kept.idle))
	}
}
