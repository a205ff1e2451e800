package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/home"
)

const (
	startTime = 5 * time.Second
	stopTime  = 3 * time.Second
	startPoll = 2 * time.Millisecond
)

// Up returns when an agent answers; if none does, it starts one. However many
// programs call it at once, there will be one agent.
func (c *Client) Up(ctx context.Context) error {
	c.starting.Lock()
	defer c.starting.Unlock()
	err := c.answers(ctx)
	if err == nil || !isAbsent(err) || c.NoStart {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	var ended <-chan error
	if c.Start != nil {
		err = c.Start(ctx)
	} else {
		ended, err = startProgram(c.Program)
	}
	if err != nil {
		return &api.Error{Code: api.CodeAway, Message: "agent cannot be started: " + err.Error(), Mend: "nbhush doctor"}
	}
	return c.wait(ctx, ended)
}

// wait polls the socket: the agent that will answer may be another than the
// one that was started here.
func (c *Client) wait(ctx context.Context, ended <-chan error) error {
	tick := time.NewTicker(startPoll)
	defer tick.Stop()
	for {
		err := c.answers(ctx)
		if err == nil || !isAbsent(err) {
			return err
		}
		select {
		case err := <-ended:
			if c.answers(ctx) == nil {
				return nil
			}
			if err != nil {
				return &api.Error{Code: api.CodeAway, Message: "agent ended at once: " + err.Error(), Mend: "nbhush doctor"}
			}
			ended = nil // it found another one that is about to answer
		case <-tick.C:
		case <-ctx.Done():
			return &api.Error{Code: api.CodeAway, Message: fmt.Sprintf("agent was started and did not answer within %v", startTime), Mend: "nbhush doctor"}
		}
	}
}

// waitGone polls until no agent holds the home's lock, which an agent lets go
// last, with all its files written. Somebody may have started another agent
// meanwhile, so it ends some time.
func (c *Client) waitGone(ctx context.Context) {
	socket, err := c.path()
	if err != nil {
		return
	}
	lock := flock.New(home.Home{Run: filepath.Dir(socket)}.AgentLock(), flock.SetFlag(os.O_RDONLY)) // makes no file
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	if ok, err := lock.TryLockContext(ctx, startPoll); ok && err == nil {
		_ = lock.Unlock()
	}
	_ = lock.Close()
}

func (c *Client) answers(ctx context.Context) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return away(ctx, err)
	}
	return conn.Close()
}

// isAbsent reports whether err is errAbsent itself: errors.Is would look at the code alone.
func isAbsent(err error) bool {
	var e *api.Error
	return errors.As(err, &e) && e == errAbsent
}

// startProgram runs nbhush as the agent, in a session of its own so that
// it outlives the terminal and the kernel that needed it first. Its output goes
// to the agent's log. The channel gets the way it ended.
func startProgram(path string) (<-chan error, error) {
	if path == "" {
		var err error
		if path, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	h, err := home.Find(os.Getenv)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(h.AgentLog()), 0o700); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(h.AgentLog(), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	from, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		_ = out.Close()
		return nil, err
	}
	cmd := exec.Command(path, "agent", "serve")
	cmd.Env = agentEnv(os.Environ())
	cmd.Dir = string(filepath.Separator)
	cmd.Stdout, cmd.Stderr = out, out
	detach(cmd)
	if err := cmd.Start(); err != nil {
		_ = out.Close()
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		defer func() { _ = out.Close() }()
		err := cmd.Wait()
		if words := complaint(out, from); err != nil && words != "" {
			err = errors.New(words)
		}
		ended <- err
	}()
	return ended, nil
}

// complaint returns what the agent said when it could not start: its error, or
// else its last line, in the log from an offset on.
func complaint(log io.ReaderAt, from int64) string {
	b, err := io.ReadAll(io.NewSectionReader(log, from, 64<<10))
	if err != nil {
		return ""
	}
	last := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "nbhush: error: "); ok {
			return text
		}
		if line != "" {
			last = line
		}
	}
	return last
}

// passed are the variables that the agent needs: where its files are and how
// to reach the keyring, and who asks for its password. The environment of who
// starts it may be a kernel's, with values in it, and a process keeps its
// environment for as long as it runs.
var passed = []string{
	"HOME", "USER", "LOGNAME", "PATH", "TMPDIR", "LANG", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY",
	"SystemRoot", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP",
	// Where providers are and who this user is there. None of them is made for a
	// value, but a proxy's URL may have its password, and IDENTITY_HEADER and MSI_SECRET are
	// what a machine of Azure gives to every process on it, to be said to an endpoint there.
	"SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "NO_PROXY", "https_proxy", "no_proxy",
	"BAO_ADDR", "BAO_NAMESPACE", "VAULT_ADDR", "VAULT_NAMESPACE",
	"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE",
	"AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	"AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT",
	"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "CLOUDSDK_CONFIG", "GCE_METADATA_HOST",
	"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST", "AZURE_CONFIG_DIR",
	"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET", "DEFAULT_IDENTITY_CLIENT_ID",
	"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT",
	"GNUPGHOME", "PASSWORD_STORE_DIR", "SOPS_AGE_KEY_FILE", "SSH_AUTH_SOCK", "GPG_TTY",
}

func agentEnv(all []string) []string {
	var env []string
	for _, entry := range all {
		name, _, _ := strings.Cut(entry, "=")
		ok := strings.HasPrefix(name, "XDG_") || strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "NBHUSH_")
		for _, p := range passed {
			ok = ok || p == name
		}
		if ok && name != "NBHUSH_ENDPOINT" && name != "NBHUSH_TOKEN" {
			env = append(env, entry)
		}
	}
	return env
}
