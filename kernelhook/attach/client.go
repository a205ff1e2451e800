package attach

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook"
	"github.com/nbhush/nbhush/kernelhook/inject"
	"github.com/nbhush/nbhush/kernelhook/proxy"
	"github.com/nbhush/nbhush/kernelhook/wire"
	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// maxReply is the size in bytes of the longest reply that is read.
const maxReply = 4 << 20

// Client is a client of one running kernel. Its methods are called one at a time.
type Client struct {
	at     proxy.Endpoints
	signer *wire.Signer
	self   string // session and identity
	beat   *zsock.Dealer
	shell  *zsock.Dealer
}

// errSilent says that what listens is no kernel, or one that hangs.
var errSilent = errors.New("no heartbeat")

// Dial connects to the kernel of a connection file, and fails if nobody answers
// its heartbeat before ctx ends. It tries again as long: the kernel may be about to start.
func Dial(ctx context.Context, file string) (*Client, error) {
	at, signer, err := kernelhook.Connection(file)
	if err != nil {
		return nil, err
	}
	c := &Client{at: at, signer: signer, self: "nbhush-" + rand.Text()}
	if c.beat, err = zsock.DialDealer(ctx, at.Heartbeat, nil, c.options()); err != nil {
		return nil, err
	}
	if err := c.heartbeat(ctx); err != nil {
		_ = c.beat.Close()
		return nil, err
	}
	return c, nil
}

func (c *Client) options() zsock.Options {
	return zsock.Options{Curve: c.at.Curve, MaxMessage: maxReply}
}

// heartbeat asks as a REQ does, which is what a REP expects. Any answer counts, as
// for jupyter_client: Rust's kernel sends a word of its own and not what it got.
// That it has the key shows in the first reply that is signed.
func (c *Client) heartbeat(ctx context.Context) error {
	if err := c.beat.Send([][]byte{{}, []byte(rand.Text())}); err != nil {
		return fmt.Errorf("%w: %w", errSilent, err)
	}
	m, err := c.beat.Recv(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errSilent, err)
	}
	defer m.Release()
	if len(m.Frames) != 2 || len(m.Frames[0]) != 0 {
		return errSilent
	}
	return nil
}

// Ended is closed when the kernel has ended: its connection has.
func (c *Client) Ended() <-chan struct{} { return c.beat.Done() }

// Close ends the connections.
func (c *Client) Close() error {
	var err error
	if c.shell != nil {
		err = c.shell.Close()
	}
	return errors.Join(err, c.beat.Close())
}

// Language asks the kernel what it is, by language_info.name. It is asked on
// control too, where some kernels answer while a cell runs.
func (c *Client) Language(ctx context.Context) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := c.connect(ctx); err != nil {
		return "", err
	}
	control, err := zsock.DialDealer(ctx, c.at.Control, []byte(c.self), c.options())
	if err != nil {
		return "", err
	}
	defer func() { _ = control.Close() }()
	type answer struct {
		content []byte
		err     error
	}
	answers := make(chan answer, 2)
	for _, d := range []*zsock.Dealer{control, c.shell} {
		go func() {
			content, err := c.ask(ctx, d, "kernel_info_request", map[string]any{})
			answers <- answer{content, err}
		}()
	}
	a := <-answers
	if a.err != nil && ctx.Err() == nil {
		a = <-answers
	} else {
		cancel() // and wait, since the next request goes to the same socket
		<-answers
	}
	if a.err != nil {
		return "", a.err
	}
	var info struct {
		Language struct {
			Name string `json:"name"`
		} `json:"language_info"`
	}
	if err := json.Unmarshal(a.content, &info); err != nil {
		return "", errors.New("the kernel does not say what language it speaks")
	}
	return info.Language.Name, nil
}

func (c *Client) connect(ctx context.Context) (err error) {
	if c.shell == nil {
		c.shell, err = zsock.DialDealer(ctx, c.at.Shell, []byte(c.self), c.options())
	}
	return err
}

// ask sends a request and returns the content of its reply.
func (c *Client) ask(ctx context.Context, d *zsock.Dealer, msgType string, content map[string]any) ([]byte, error) {
	id := rand.Text()
	header := encode(map[string]any{
		"msg_id": id, "msg_type": msgType, "session": c.self, "username": "nbhush",
		"date": time.Now().UTC().Format(time.RFC3339Nano), "version": "5.4",
	})
	m := wire.New(c.signer, nil, header, []byte("{}"), []byte("{}"), encode(content), nil)
	if err := d.Send(m.Frames); err != nil {
		return nil, err
	}
	for {
		raw, err := d.Recv(ctx)
		if err != nil {
			return nil, err
		}
		m, err := wire.Parse(raw.Frames)
		if err != nil || !c.signer.Verify(m) {
			continue // not from this kernel
		}
		if parent, _ := wire.ScanHeader(m.Parent()); parent.MsgID == id {
			return m.Content(), nil
		}
	}
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and booleans alone
	}
	return b
}

// Names are what a kernel gets, and where it asks for it.
type Names struct {
	Program         string // path of nbhush, for languages that start it
	Endpoint, Token string // of the Offer; "" where the kernel has been told before
	Since           string // of the Offer, see inject.Since
	Names           []secret.Name
}

// Inject makes the names environment variables of the kernel (and variables, in
// Python), and nbhush usable in its cells, without a trace in what its other clients
// see. An error of code busy means that it will happen when a running cell has ended.
func (c *Client) Inject(ctx context.Context, language string, n Names) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	if code := inject.Attach(language, n.Endpoint, n.Token, n.Since, n.Names); code != "" {
		return c.execute(ctx, code, inject.Attached)
	}
	l, ok := inject.LanguageOf(language)
	if !ok {
		return &LanguageError{language}
	}
	var code []string
	if n.Endpoint != "" {
		code = append(code, l.Put("NBHUSH_ENDPOINT", n.Endpoint), l.Put("NBHUSH_TOKEN", n.Token))
	}
	for _, name := range n.Names {
		code = append(code, l.Hold(n.Program, name))
	}
	for _, one := range code {
		if err := c.execute(ctx, one, ""); err != nil {
			return err
		}
	}
	return nil
}

// Execute has the kernel execute code, after what it was sent before, without a
// trace in what its other clients see, and returns when it has.
func (c *Client) Execute(ctx context.Context, code string) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	return c.execute(ctx, code, "")
}

// LanguageError says that nobody knows how to set a variable in this language.
type LanguageError struct{ Name string }

func (e *LanguageError) Error() string {
	return fmt.Sprintf("nbhush does not know how to set a variable in a kernel of the language %q", e.Name)
}

// Hint says what gives such a kernel its secrets.
func (e *LanguageError) Hint() string {
	return "start the kernel behind nbhush: nbhush jupyter enable, then restart the server"
}

// BusyError says that a kernel did not execute code in time.
type BusyError struct{ why error }

func (e *BusyError) Error() string {
	return "the kernel is busy; it gets the names when its running cell has ended"
}

func (e *BusyError) Unwrap() error { return e.why }

// Hint says what to do where that does not happen.
func (e *BusyError) Hint() string { return "interrupt the cell, if it is to wait no longer" }

// execute runs code silently. result, if not "", is an expression whose value,
// in Python, is "" or the JSON of an error.
func (c *Client) execute(ctx context.Context, code, result string) error {
	expressions := map[string]string{}
	if result != "" {
		expressions["nbhush"] = result
	}
	content, err := c.ask(ctx, c.shell, "execute_request", map[string]any{
		"code": code, "silent": true, "store_history": false,
		"user_expressions": expressions, "allow_stdin": false, "stop_on_error": false,
	})
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return &BusyError{err}
		}
		return err
	}
	var reply struct {
		Status      string `json:"status"`
		Name        string `json:"ename"`
		Expressions map[string]struct {
			Status string            `json:"status"`
			Data   map[string]string `json:"data"`
		} `json:"user_expressions"`
	}
	if json.Unmarshal(content, &reply) != nil || reply.Status != "ok" {
		return fmt.Errorf("the kernel could not execute it: %.60q", reply.Name) // its words might hold anything
	}
	if result == "" {
		return nil
	}
	told := reply.Expressions["nbhush"]
	if told.Status != "ok" {
		return errors.New("the kernel does not say whether it has the names")
	}
	return inject.AttachError(strings.Trim(told.Data["text/plain"], `'"`)) // the repr of hexadecimal digits
}
