package kernelhook

import (
	"fmt"
	"testing"
)

// A kernel is behind the hook whatever its connection file says: IPv4, IPv6,
// ipc, in plain and with CURVE, through Jupyter's own manager. Who has no key,
// or another one, hears nothing of an encrypted one.
func TestTransports(t *testing.T) {
	for _, c := range []struct{ transport, name, encryption string }{
		{"tcp", "tcp", "disabled"},
		{"tcp", "tcp", "auto"},
		{"tcp", "tcp", "required"},
		{"ipv6", "tcp", "disabled"},
		{"ipv6", "tcp", "required"},
		{"ipc", "ipc", "disabled"},
		{"ipc", "ipc", "required"},
	} {
		t.Run(c.transport+", "+c.encryption, func(t *testing.T) {
			if testing.Short() && c.encryption != "required" {
				t.Skip("takes some seconds")
			}
			t.Parallel()
			r := newRig(t)
			curve := c.encryption != "disabled"
			told := r.script("transport.py", c.transport, c.encryption)
			want := []string{
				fmt.Sprintf(`{"curve":[%v,%v],"transport":%q}`, curve, curve, c.name),
				`{"stream":"T=[nbhush:TOKEN]\n","result":"42","types":["status","execute_input","stream","execute_result","status"]}`,
				`{"result":"[nbhush:ASKED]","stream":"True\n"}`,
				`{"stream":"me\n","prompts":["who? "]}`,
				`{"lines":true,"size":20000001}`,
				`{"control":"kernel_info_reply"}`,
				`{"heart":true}`,
				fmt.Sprintf(`{"plain":%v,"other":false}`, !curve),
				`{"behind":"ipc False\n"}`,
				`{"restart":"T=[nbhush:TOKEN]\n","same":true}`,
			}
			if c.transport == "ipc" {
				want = append(want, `{"files":["k-1","k-2","k-3","k-4","k-5"],"modes":["0o600"]}`)
			}
			want = append(want, `{"killed":"there\n"}`, `{"end":false}`)
			for i := range want {
				same(t, told[i], want[i])
			}
			r.gone()
		})
	}
}
