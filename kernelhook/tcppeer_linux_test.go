package kernelhook

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// The process at the other end of a connection is known on every transport.
func TestProcessOf(t *testing.T) {
	for network, address := range map[string]string{
		"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": filepath.Join(t.TempDir(), "s"),
	} {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Logf("%s: %v", network, err) // a machine without IPv6
			continue
		}
		defer func() { _ = l.Close() }()
		client, err := net.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := processOf(conn.(zsock.Conn)); got != os.Getpid() {
			t.Errorf("%s: process %d, want %d", network, got, os.Getpid())
		}
		_ = client.Close()
		if got := processOf(conn.(zsock.Conn)); network != "unix" && got != 0 {
			t.Errorf("%s: process %d holds an end that is closed", network, got)
		}
		_ = conn.Close()
	}
	if got := processOf(nil); got != 0 {
		t.Errorf("no connection: %d", got)
	}
}

func FuzzSocketInode(f *testing.F) {
	local, remote := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 0x1F90}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 0xC350}
	const line = "   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0\n"
	if littleEndian && socketInode([]byte(line), local, remote) != "4711" {
		f.Error("a line of proc(5) is not read")
	}
	f.Add([]byte(line))
	f.Add([]byte(":1F90 0100007F:C350"))
	f.Fuzz(func(_ *testing.T, table []byte) { _ = socketInode(table, local, remote) })
}
