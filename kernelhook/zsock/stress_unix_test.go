//go:build unix

package zsock

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"
)

// TestDeadSubscriber: one subscriber's process is stopped, one never reads.
// The live one gets everything, and so does one that comes later.
func TestDeadSubscriber(t *testing.T) {
	const count, size = 300, 1 << 20
	dead, live := startLibzmq(t), startLibzmq(t)
	x := listenXPub(t, "tcp://127.0.0.1:0", Options{})
	dead.open("s", "SUB", x.Endpoint(), args{"subscribe": []string{""}})
	<-x.Subscriptions()
	if err := dead.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	dialRaw(t, x.Endpoint()).shake("SUB", "").write(appendCommand(nil, "SUBSCRIBE"))
	<-x.Subscriptions()

	for _, name := range []string{"first", "later"} {
		live.open(name, "SUB", x.Endpoint(), args{"subscribe": []string{""}, "rcvhwm": 0})
		<-x.Subscriptions()
		live.begin("count", args{"name": name, "last": count - 1})
		body := bytes.Repeat([]byte{'x'}, size)
		for i := range count {
			if err := x.Send([][]byte{nil, fmt.Append(nil, i), body}); err != nil {
				t.Fatal(err)
			}
		}
		var got counted
		live.answer(&got)
		if got.N != count || !got.Ordered || got.Bytes < count*size {
			t.Errorf("the %s live subscriber got %+v, want %d messages in order", name, got, count)
		}
	}
}
