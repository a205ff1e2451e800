package zsock

import "errors"

// A mechanism makes a connection out of two sides that have read each other's
// greetings: RFC 37, "Security Mechanisms". One value is for one connection.
// Metadata are properties as in a READY; the traffic is secured once both sides'
// metadata are known.
type (
	accepter interface {
		greeting() string
		// accept returns the client's metadata.
		accept(p *peer) ([]byte, error)
		// welcome sends the server's metadata.
		welcome(p *peer, metadata []byte) error
	}
	connecter interface {
		greeting() string
		// connect sends the client's metadata and returns the server's.
		connect(p *peer, metadata []byte) ([]byte, error)
	}
)

func (o *Options) accepter() accepter {
	if o.Curve == nil {
		return null{}
	}
	return &curveServer{keys: o.Curve}
}

func (o *Options) connecter() connecter {
	if o.Curve == nil {
		return null{}
	}
	return &curveClient{keys: o.Curve}
}

// say sends a command of the handshake.
func (p *peer) say(name string, data []byte) error {
	_, err := p.conn.Write(appendCommand(nil, name, data))
	return err
}

// null is RFC 37, "The NULL Security Mechanism".
type null struct{}

func (null) greeting() string { return greeting }

func (null) accept(p *peer) ([]byte, error) { return p.in.expect("READY", errReady) }

func (null) welcome(p *peer, metadata []byte) error { return p.say("READY", metadata) }

func (n null) connect(p *peer, metadata []byte) ([]byte, error) {
	if err := p.say("READY", metadata); err != nil {
		return nil, err
	}
	return n.accept(p)
}

// hearCurve reads a command of CURVE's handshake. Whatever else comes is one
// error, on which nothing is answered: nobody learns what was wrong with it.
func (p *peer) hearCurve(name string) ([]byte, error) {
	data, err := p.in.expect(name, errCurve)
	if errors.Is(err, errFrame) || errors.Is(err, errCommand) {
		err = errCurve
	}
	return data, err
}

// secure puts the traffic into boxes. It takes the shared key.
func (p *peer) secure(shared *key, in, out string, received, sent uint64) {
	p.in.box = &opener{key: *shared, prefix: in, count: received}
	p.out.secure(&sealer{key: *shared, prefix: out, count: sent})
	clear(shared[:])
}

func (*curveServer) greeting() string { return greetingServer }

func (s *curveServer) accept(p *peer) (_ []byte, err error) {
	defer func() {
		if err != nil {
			clear(s.shared[:])
		}
	}()
	hello, err := p.hearCurve("HELLO")
	if err != nil {
		return nil, err
	}
	welcome, err := s.answerHello(hello)
	if err != nil {
		return nil, err
	}
	if err := p.say("WELCOME", welcome); err != nil {
		return nil, err
	}
	initiate, err := p.hearCurve("INITIATE")
	if err != nil {
		return nil, err
	}
	return s.openInitiate(initiate)
}

func (s *curveServer) welcome(p *peer, metadata []byte) error {
	ready := s.ready(metadata)
	p.secure(&s.shared, fromClient, fromServer, s.received, 1)
	return p.say("READY", ready)
}

func (*curveClient) greeting() string { return greetingClient }

func (c *curveClient) connect(p *peer, metadata []byte) ([]byte, error) {
	defer c.wipe()
	hello, err := c.hello()
	if err != nil {
		return nil, err
	}
	if err := p.say("HELLO", hello); err != nil {
		return nil, err
	}
	welcome, err := p.hearCurve("WELCOME")
	if err != nil {
		return nil, err
	}
	initiate, err := c.answerWelcome(welcome, metadata)
	if err != nil {
		return nil, err
	}
	if err := p.say("INITIATE", initiate); err != nil {
		return nil, err
	}
	ready, err := p.hearCurve("READY")
	if err != nil {
		return nil, err
	}
	if metadata, err = c.openReady(ready); err != nil {
		return nil, err
	}
	p.secure(&c.shared, fromServer, fromClient, c.received, 2)
	return metadata, nil
}
