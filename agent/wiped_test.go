package agent

import (
	"bytes"
	"net"
	"testing"
)

// Only what is a copy of the body goes, and not the body itself.
func TestWipedConn(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	c := &wipedConn{Conn: near}
	send := func(text string) {
		go func() { _, _ = far.Write([]byte(text)) }()
	}
	read := func(n int) []byte {
		t.Helper()
		p := make([]byte, n)
		if _, err := c.Read(p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, tc := range []struct{ name, sent, body, left string }{
		{"a body behind its head", "PUT\r\n\r\nvalue", "value", "PUT\r\n\r\n\x00\x00\x00\x00\x00"},
		{"no body", "GET\r\n\r\n", "", "GET\r\n\r\n"},
		{"a request behind the body", "PUT\r\n\r\nvalueGET", "value", "PUT\r\n\r\nvalueGET"},
	} {
		send(tc.sent)
		buffer := read(len(tc.sent))
		body := []byte(tc.body)
		if c.took(body); string(buffer) != tc.left || string(body) != tc.body {
			t.Errorf("%s: %q is left, and %q of the body", tc.name, buffer, body)
		}
	}
	// A long body goes through the buffer first and then straight to where it is wanted.
	send("PUT\r\n\r\nva")
	buffer := read(9)
	body := []byte("va\x00\x00\x00")
	send("lue")
	if _, err := c.Read(body[2:]); err != nil {
		t.Fatal(err)
	}
	if c.took(body); string(buffer) != "PUT\r\n\r\n\x00\x00" || string(body) != "value" {
		t.Errorf("%q, %q", buffer, body)
	}
	send("frame")
	buffer = read(5)
	if c.done(); !bytes.Equal(buffer, make([]byte, 5)) {
		t.Errorf("%q is left of a frame", buffer)
	}
	go func() { _, _ = far.Read(make([]byte, 10)) }()
	out := []byte("value")
	if _, err := c.Write(out); err != nil || !bytes.Equal(out, make([]byte, 5)) {
		t.Errorf("%q is left of what was written, %v", out, err)
	}
}
