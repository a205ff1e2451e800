package zsock

// Echo is a bound socket that sends every message back to where it came from:
// the heartbeat of a kernel, "Heartbeat for kernels" in Jupyter's messaging
// documentation. It answers REQ, DEALER and ROUTER.
type Echo struct{ server }

// ListenEcho binds endpoint, which has the forms that ListenRouter takes.
func ListenEcho(endpoint string, o Options) (*Echo, error) {
	e := &Echo{}
	e.join, e.leave, e.run = func(*peer) {}, func(*peer) {}, e.echo
	if err := e.start(endpoint, &echoKind, o); err != nil {
		return nil, err
	}
	return e, nil
}

// echo answers one peer. A peer that does not read makes it wait, nobody else.
func (e *Echo) echo(p *peer) error {
	for {
		b, err := p.in.message()
		if err != nil {
			return err
		}
		m := b.message(nil)
		enc := e.encoders.get(m.Frames)
		_, err = p.out.send(enc)
		e.encoders.put(enc)
		m.Release()
		if err != nil {
			return err
		}
	}
}
