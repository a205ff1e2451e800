package kernelhook

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/nbhush/nbhush/kernelhook/inject"
	"github.com/nbhush/nbhush/kernelhook/proxy"
	"github.com/nbhush/nbhush/kernelhook/wire"
)

// Connection reads a connection file as a client does: where the kernel is
// reached, and what signs the messages.
func Connection(file string) (proxy.Endpoints, *wire.Signer, error) {
	if st, err := os.Stat(file); err == nil && !st.Mode().IsRegular() { // it could be waited for without end
		return proxy.Endpoints{}, nil, fmt.Errorf("read the connection file: %s is no file", file)
	}
	c, err := readConnection(file)
	if err != nil {
		return proxy.Endpoints{}, nil, err
	}
	signer, err := wire.NewSigner(c.Scheme, []byte(c.Key))
	return c.endpoints(), signer, err
}

// Protect keeps other processes of the user from reading the memory of this
// one, which passes values on, as Run does.
func Protect() error { return harden() }

// Offer is an endpoint at which a kernel that runs asks for its secrets, in a
// private directory as a hook has one.
type Offer struct {
	Endpoint, Token string

	dir    *privateDir
	server *inject.Server
}

// attachedMark is the file that tells the directory of an Offer from a hook's. The
// profile is in it.
const attachedMark = "attached"

// NewOffer opens an endpoint below run, which is home.Home.Run. StateOf finds it by
// file, the connection file of the kernel, and says in which profile it serves;
// without a file, file is "".
func NewOffer(run, file, profile string, source inject.Source) (o *Offer, err error) {
	o = &Offer{Token: rand.Text()}
	if o.dir, err = makeDir(run, os.TempDir()); err != nil {
		return nil, err
	}
	o.Endpoint = "ipc://" + filepath.Join(o.dir.path, "get")
	if err = o.mark(file, profile); err == nil {
		o.server, err = inject.Listen(o.Endpoint, o.Token, source)
	}
	if err != nil {
		return nil, errors.Join(err, o.dir.Close())
	}
	return o, nil
}

func (o *Offer) mark(file, profile string) error {
	if file == "" {
		return nil
	}
	c, err := readConnection(file)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.dir.path, attachedMark), []byte(profile), 0o600); err != nil {
		return fmt.Errorf("directory of the endpoint: %w", err)
	}
	return c.write(filepath.Join(o.dir.path, filepath.Base(file)))
}

// Close ends the endpoint and removes its directory.
func (o *Offer) Close() error { return errors.Join(o.server.Close(), o.dir.Close()) }

// State is what a running kernel has of nbhush.
type State string

// The states.
const (
	Bare     State = "bare"
	Hooked   State = "hooked"   // started behind nbhush
	Attached State = "attached" // bare, and an Offer serves it
)

// StateOf looks among the living hooks and offers below run, and in the temporary
// directory, for the one of the kernel with this connection file: it keeps one of
// the same name and key. profile is the one in which an attached kernel is served, "" for none.
func StateOf(run, file string) (is State, profile string, err error) {
	c, err := readConnection(file)
	if err != nil {
		return "", "", err
	}
	for _, dir := range privateDirs(run, os.TempDir()) {
		own, err := readConnection(filepath.Join(dir, filepath.Base(file)))
		if err != nil || own.Key != c.Key || !alive(dir) {
			continue
		}
		if mark, err := os.ReadFile(filepath.Join(dir, attachedMark)); err == nil {
			return Attached, string(mark), nil
		}
		return Hooked, "", nil
	}
	return Bare, "", nil
}

// alive reports whether somebody has locked dir, in which more than the lock was made already.
func alive(dir string) bool {
	lock := flock.New(filepath.Join(dir, "lock"))
	defer func() { _ = lock.Close() }()
	ok, err := lock.TryLock()
	return err == nil && !ok
}
