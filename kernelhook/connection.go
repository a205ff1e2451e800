package kernelhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nbhush/nbhush/kernelhook/proxy"
	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// maxConnection is the size in bytes of the largest connection file that is read.
const maxConnection = 1 << 20

// connection is a connection file, jupyter_client "Connection files".
type connection struct {
	Transport string `json:"transport"`
	IP        string `json:"ip"`
	Key       string `json:"key"`
	Scheme    string `json:"signature_scheme"`
	Shell     int    `json:"shell_port"`
	Control   int    `json:"control_port"`
	Stdin     int    `json:"stdin_port"`
	IOPub     int    `json:"iopub_port"`
	Heartbeat int    `json:"hb_port"`
	Public    string `json:"curve_publickey"`
	Secret    string `json:"curve_secretkey"`

	curve *zsock.Curve // of these two; nil without encryption
	all   map[string]json.RawMessage
}

func readConnection(path string) (*connection, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the connection file: %w", err)
	}
	if info.Size() > maxConnection {
		return nil, fmt.Errorf("read the connection file: %s has %d bytes, which none has", path, info.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the connection file: %w", err)
	}
	c := &connection{Transport: "tcp"}
	if err := errors.Join(json.Unmarshal(b, c), json.Unmarshal(b, &c.all)); err != nil {
		return nil, fmt.Errorf("read the connection file: %s is not JSON", path) // the error could repeat the key
	}
	if c.Transport != "tcp" && c.Transport != "ipc" {
		return nil, fmt.Errorf("read the connection file: transport %q is neither tcp nor ipc", c.Transport)
	}
	// One without the other means nothing to jupyter_client and ipykernel.
	if c.Public != "" && c.Secret != "" {
		if c.curve, err = zsock.ParseCurve(c.Public, c.Secret); err != nil {
			return nil, fmt.Errorf("read the connection file: %w", err)
		}
	}
	return c, nil
}

// endpoints returns the five addresses that a connection file means.
func (c *connection) endpoints() proxy.Endpoints {
	at := func(port int) string {
		if c.Transport == "ipc" {
			return "ipc://" + c.IP + "-" + strconv.Itoa(port)
		}
		ip := c.IP
		if ip == "" {
			ip = "127.0.0.1"
		}
		return "tcp://" + net.JoinHostPort(strings.Trim(ip, "[]"), strconv.Itoa(port))
	}
	return proxy.Endpoints{
		Shell: at(c.Shell), Control: at(c.Control), Stdin: at(c.Stdin), IOPub: at(c.IOPub), Heartbeat: at(c.Heartbeat),
		Curve: c.curve,
	}
}

// behind returns the connection of the kernel itself: ipc in dir, or tcp on free
// ports, everything else as it is. CURVE is between the clients and the hook
// alone: who could listen on a socket in dir could as well read the keys there,
// and a kernel that does not speak CURVE has it by its hook.
func (c *connection) behind(transport, dir string) (*connection, error) {
	b := *c
	b.Transport, b.IP, b.curve = "ipc", filepath.Join(dir, "k"), nil
	ports := []int{1, 2, 3, 4, 5}
	if transport == "tcp" {
		var err error
		if b.IP, ports, err = freePorts(len(ports)); err != nil {
			return nil, err
		}
		b.Transport = transport
	}
	b.Shell, b.Control, b.Stdin, b.IOPub, b.Heartbeat = ports[0], ports[1], ports[2], ports[3], ports[4]
	b.all = map[string]json.RawMessage{}
	for k, v := range c.all {
		if !strings.HasPrefix(k, "curve_") {
			b.all[k] = v
		}
	}
	set := func(k string, v any) { b.all[k], _ = json.Marshal(v) } // strings and numbers
	set("transport", b.Transport)
	set("ip", b.IP)
	set("shell_port", b.Shell)
	set("control_port", b.Control)
	set("stdin_port", b.Stdin)
	set("iopub_port", b.IOPub)
	set("hb_port", b.Heartbeat)
	return &b, nil
}

// write makes a new file at path, for this user only, in the place of an old one.
func (c *connection) write(path string) error {
	b, err := json.MarshalIndent(c.all, "", " ")
	if err != nil {
		return fmt.Errorf("write the kernel's connection file: %w", err)
	}
	_ = os.Remove(path) // of a kernel that could not use it
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the kernel's connection file: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the kernel's connection file: %w", err)
	}
	return nil
}

// redirect returns argv with every mention of the connection file old, in the
// forms that Jupyter puts it into argv, replaced by its new path.
func redirect(argv []string, old, path string) []string {
	forms := []string{old, filepath.Clean(old)}
	if abs, err := filepath.Abs(old); err == nil {
		forms = append(forms, abs)
	}
	out := make([]string, len(argv))
	for i, arg := range argv {
		out[i] = arg
		for _, form := range forms {
			if strings.Contains(arg, form) {
				out[i] = strings.ReplaceAll(arg, form, path)
				break
			}
		}
	}
	return out
}
