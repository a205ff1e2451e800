package proxy

import (
	"strconv"
	"testing"

	"github.com/nbhush/nbhush/kernelhook/wire"
)

func TestAskers(t *testing.T) {
	signer, err := wire.NewSigner("hmac-sha256", []byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	request := func(id string) [][]byte {
		return wire.New(signer, nil, []byte(`{"msg_id":"`+id+`","session":"client"}`), []byte("{}"), []byte("{}"), []byte("{}"), nil).Frames
	}
	reply := func(id, session string) wire.Message {
		return wire.New(signer, nil, []byte("{}"), []byte(`{"msg_id":"`+id+`","session":"`+session+`"}`), []byte("{}"), []byte("{}"), nil)
	}
	var a askers
	self := []byte("self")
	if _, own := a.of(reply("1", "self"), self); !own || !a.needed.Load() {
		t.Error("a reply to the hook's own request is not known as that")
	}
	a.note([]byte("peer a"), request("1"))
	a.note([]byte("peer b"), request("1")) // says that it is the request of another
	a.note([]byte("peer b"), request("2"))
	a.note([]byte("peer c"), [][]byte{[]byte("no message")})
	for id, want := range map[string]string{"1": "peer a", "2": "peer b", "3": "", "": ""} {
		if peer, own := a.of(reply(id, "client"), self); string(peer) != want || own {
			t.Errorf("%q is for %q, want %q", id, peer, want)
		}
	}
	for i := range maxAskers {
		a.note([]byte("peer d"), request("n"+strconv.Itoa(i)))
	}
	if peer, _ := a.of(reply("1", "client"), self); peer != nil || len(a.peers) != maxAskers || len(a.ids) != maxAskers {
		t.Errorf("%d requests are remembered", len(a.peers))
	}
}
