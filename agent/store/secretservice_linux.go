package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/godbus/dbus/v5"
	ss "github.com/zalando/go-keyring/secret_service"

	"github.com/nbhush/nbhush/agent/secret"
)

// The Secret Service API, draft 0.2, sections "Service", "Collection", "Item",
// "Prompt". The functions of go-keyring wait without end for a prompt that no
// headless machine shows, so the calls here are made on godbus with a deadline.
const (
	busName   = "org.freedesktop.secrets"
	rootPath  = dbus.ObjectPath("/org/freedesktop/secrets")
	noPath    = dbus.ObjectPath("/") // "no such thing", "no prompt needed"
	ifService = "org.freedesktop.Secret.Service."
	ifColl    = "org.freedesktop.Secret.Collection."
	ifItem    = "org.freedesktop.Secret.Item."
	ifPrompt  = "org.freedesktop.Secret.Prompt."
)

// What Python's keyring writes. Its search looks at service and username only,
// but an item without its application attribute is not replaced when it
// writes: it makes a second one beside it.
const (
	pythonApplication = "Python keyring library"
	pythonContentType = "text/plain"
)

var errKeyringLocked = &Error{
	Err:  fmt.Errorf("%w and would ask for the password of the keyring", ErrLocked),
	Mend: "unlock the keyring in your desktop session, or log in there",
}

// attributes is what finds the items of name, whoever wrote them.
func attributes(name secret.Name) map[string]string {
	return map[string]string{"service": service, "username": string(name)}
}

// bus is a connection to the Secret Service with a session on it.
type bus struct {
	conn       *dbus.Conn
	session    dbus.ObjectPath
	transfer   *transfer // of the session; nil is plain
	collection dbus.ObjectPath
}

// dial connects without starting a D-Bus daemon, which nobody would end.
func dial(ctx context.Context) (*bus, error) {
	life, end := context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, end)
	defer stop()
	conn, err := dbus.SessionBusPrivateNoAutoStartup(dbus.WithContext(life))
	if err != nil {
		end()
		return nil, fmt.Errorf("no D-Bus session: %w", err)
	}
	b := &bus{conn: conn}
	if err := b.start(ctx); err != nil {
		b.close()
		if ctx.Err() != nil {
			err = fmt.Errorf("it does not answer: %w", ctx.Err())
		}
		return nil, err
	}
	return b, nil
}

func (b *bus) start(ctx context.Context) error {
	if err := b.conn.Auth(nil); err != nil {
		return fmt.Errorf("D-Bus session: %w", err)
	}
	if err := b.conn.Hello(); err != nil {
		return fmt.Errorf("D-Bus session: %w", err)
	}
	if err := b.open(ctx); err != nil {
		var e dbus.Error
		if errors.As(err, &e) && strings.HasSuffix(e.Name, ".ServiceUnknown") {
			return errors.New("no Secret Service in this D-Bus session")
		}
		return err
	}
	// The same collection that Python's keyring takes.
	if err := b.call(ctx, rootPath, ifService+"ReadAlias", "default").Store(&b.collection); err != nil {
		return err
	}
	if b.collection == noPath {
		return errors.New("the Secret Service has no default keyring yet")
	}
	return nil
}

// open opens a session, which is encrypted where the service can do that.
func (b *bus) open(ctx context.Context) error {
	public, agree, err := newExchange()
	if err != nil {
		return err
	}
	var answer dbus.Variant
	err = b.call(ctx, rootPath, ifService+"OpenSession", transferAlgorithm, dbus.MakeVariant(public)).Store(&answer, &b.session)
	if e := (dbus.Error{}); errors.As(err, &e) && strings.HasSuffix(e.Name, ".NotSupported") {
		return b.call(ctx, rootPath, ifService+"OpenSession", "plain", dbus.MakeVariant("")).Store(&answer, &b.session)
	}
	if err != nil {
		return err
	}
	theirs, _ := answer.Value().([]byte)
	b.transfer, err = agree(theirs)
	return err
}

func (b *bus) close() {
	b.transfer.forget()
	_ = b.conn.Close()
}

func (b *bus) call(ctx context.Context, path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	return b.conn.Object(busName, path).CallWithContext(ctx, method, 0, args...)
}

// property stores one property of an object in to.
func (b *bus) property(ctx context.Context, path dbus.ObjectPath, iface, name string, to any) error {
	var v dbus.Variant
	err := b.call(ctx, path, "org.freedesktop.DBus.Properties.Get", strings.TrimSuffix(iface, "."), name).Store(&v)
	if err != nil {
		return err
	}
	return v.Store(to)
}

func (b *bus) locked(ctx context.Context) (locked bool, err error) {
	err = b.property(ctx, b.collection, ifColl, "Locked", &locked)
	return locked, err
}

// unlock opens the collection, and asks the user only if it may.
func (b *bus) unlock(ctx context.Context, mayPrompt bool) error {
	if locked, err := b.locked(ctx); err != nil || !locked {
		return err
	}
	var unlocked []dbus.ObjectPath
	var prompt dbus.ObjectPath
	if err := b.call(ctx, rootPath, ifService+"Unlock", []dbus.ObjectPath{b.collection}).Store(&unlocked, &prompt); err != nil {
		return err
	}
	return b.answer(ctx, prompt, mayPrompt)
}

// answer shows the prompt and waits for the user for as long as promptWait, or
// refuses where it may not.
func (b *bus) answer(ctx context.Context, prompt dbus.ObjectPath, mayPrompt bool) error {
	if prompt == noPath {
		return nil
	}
	if !mayPrompt {
		_ = b.call(ctx, prompt, ifPrompt+"Dismiss").Err
		return errKeyringLocked
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), promptWait)
	defer cancel()
	match := []dbus.MatchOption{dbus.WithMatchObjectPath(prompt), dbus.WithMatchMember("Completed")}
	if err := b.conn.AddMatchSignalContext(ctx, match...); err != nil {
		return err
	}
	defer func() { _ = b.conn.RemoveMatchSignal(match...) }()
	signals := make(chan *dbus.Signal, 8)
	b.conn.Signal(signals)
	defer b.conn.RemoveSignal(signals)
	if err := b.call(ctx, prompt, ifPrompt+"Prompt", "").Err; err != nil {
		return err
	}
	for {
		select {
		case s := <-signals:
			if s == nil {
				return errors.New("the connection ended during the prompt")
			}
			if s.Path != prompt || len(s.Body) == 0 {
				continue
			}
			if dismissed, ok := s.Body[0].(bool); !ok || dismissed {
				return errKeyringLocked
			}
			return nil
		case <-ctx.Done():
			_ = b.conn.Object(busName, prompt).Go(ifPrompt+"Dismiss", dbus.FlagNoReplyExpected, nil)
			return errKeyringLocked
		}
	}
}

func (b *bus) search(ctx context.Context, attrs map[string]string) (found []dbus.ObjectPath, err error) {
	err = b.call(ctx, b.collection, ifColl+"SearchItems", attrs).Store(&found)
	return found, err
}

func (b *bus) attributes(ctx context.Context, it dbus.ObjectPath) (attrs map[string]string, err error) {
	err = b.property(ctx, it, ifItem, "Attributes", &attrs)
	return attrs, err
}

// newest returns the item of found that was changed last. The clock of the
// service ticks in seconds; within one, the item that Python and nbhush
// overwrite in place counts, since what else there is was written once.
func (b *bus) newest(ctx context.Context, found []dbus.ObjectPath) (best dbus.ObjectPath, err error) {
	if len(found) == 0 {
		return "", ErrNotFound
	}
	if len(found) == 1 {
		return found[0], nil
	}
	var at uint64
	for _, it := range found {
		var modified uint64
		if err := b.property(ctx, it, ifItem, "Modified", &modified); err != nil {
			return "", err
		}
		attrs, err := b.attributes(ctx, it)
		if err != nil {
			return "", err
		}
		shared := attrs["application"] == pythonApplication
		if best == "" || modified > at || modified == at && shared {
			best, at = it, modified
		}
	}
	return best, nil
}

// secret returns the value of an item.
func (b *bus) secret(ctx context.Context, it dbus.ObjectPath) (secret.Value, error) {
	var s ss.Secret
	if err := b.call(ctx, it, ifItem+"GetSecret", b.session).Store(&s); err != nil {
		return secret.Value{}, err
	}
	v, err := b.transfer.open(s.Parameters, s.Value)
	return secret.New(v), err
}

// create writes the item of name as Python's keyring does, in the place of the
// one with the same attributes, and returns it.
func (b *bus) create(ctx context.Context, name secret.Name, v secret.Value) (it dbus.ObjectPath, err error) {
	attrs := attributes(name)
	attrs["application"] = pythonApplication
	properties := map[string]dbus.Variant{
		ifItem + "Label":      dbus.MakeVariant(fmt.Sprintf("Password for '%s' on '%s'", name, service)),
		ifItem + "Attributes": dbus.MakeVariant(attrs),
	}
	parameters, sealed, err := b.transfer.seal(v.Reveal())
	if err != nil {
		return "", err
	}
	value := ss.Secret{Session: b.session, Parameters: parameters, Value: sealed, ContentType: pythonContentType}
	var prompt dbus.ObjectPath
	err = b.call(ctx, b.collection, ifColl+"CreateItem", properties, value, true).Store(&it, &prompt)
	if err == nil && it == noPath {
		return it, errKeyringLocked // it was unlocked a moment ago
	}
	return it, err
}

func (b *bus) remove(ctx context.Context, it dbus.ObjectPath) error {
	var prompt dbus.ObjectPath
	if err := b.call(ctx, it, ifItem+"Delete").Store(&prompt); err != nil {
		return err
	}
	if prompt != noPath {
		return errKeyringLocked
	}
	return nil
}
