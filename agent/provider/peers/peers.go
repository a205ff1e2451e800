// Package peers starts, for tests, the servers that providers speak to: real
// ones, from the programs beside the Python that NBHUSH_TEST_PYTHON names.
//
//	test ──▶ OpenBao, Moto, Drongo ──▶ a process on a loopback port ──▶ address, stop
package peers

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrNone says that no program of that name is there: the test is skipped, but
// not where continuous integration runs it.
var ErrNone = errors.New("NBHUSH_TEST_PYTHON names no Python with this peer beside it; run: make venv")

// ErrNoTool says that .ci/deps has not installed a program.
var ErrNoTool = fmt.Errorf("%w; or a program is missing: run .ci/deps", ErrNone)

const startTime = time.Minute // of a Python program on a busy machine

// Server is a process that listens.
type Server struct {
	Address string // its URL
	Token   string // of root, for OpenBao
	CA      string // file of its certificate's authority, or ""
	stop    func()
}

// Stop ends the process and waits for it.
func (s *Server) Stop() { s.stop() }

// Program returns the path of a program beside the tests' Python.
func Program(name string) (string, error) {
	python := os.Getenv("NBHUSH_TEST_PYTHON")
	if python == "" {
		return "", ErrNone
	}
	path := filepath.Join(filepath.Dir(python), name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w (%s)", ErrNone, name)
	}
	return path, nil
}

// OpenBao starts a server in memory, with TLS, whose files are in dir.
func OpenBao(dir string) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	token := rand.Text()
	s, err := start("bao", []string{
		"server", "-dev", "-dev-tls", "-dev-tls-cert-dir=" + dir, "-dev-no-store-token", "-dev-listen-address=127.0.0.1:" + port,
	}, []string{"HOME=" + dir, "BAO_DEV_ROOT_TOKEN_ID=" + token}, "Development mode should NOT")
	if err != nil {
		return nil, err
	}
	s.Address, s.Token, s.CA = "https://127.0.0.1:"+port, token, filepath.Join(dir, "vault-ca.pem")
	return s, nil
}

// Moto starts a server of the AWS APIs.
func Moto() (*Server, error) { return python("moto_server", "-H", "127.0.0.1", "-p") }

// Drongo starts a server of the Google Cloud APIs.
func Drongo() (*Server, error) { return python("drongo", "server", "--host", "127.0.0.1", "-p") }

func python(name string, args ...string) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s, err := start(name, append(args, port), nil, "")
	if err != nil {
		return nil, err
	}
	s.Address = "http://127.0.0.1:" + port
	end := time.Now().Add(startTime)
	for { // neither says when it listens
		resp, err := http.Get(s.Address)
		if err == nil {
			_ = resp.Body.Close()
			return s, nil
		}
		if time.Now().After(end) {
			s.Stop()
			return nil, fmt.Errorf("%s does not answer: %w", name, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// start runs a program until it prints words.
func start(name string, args, env []string, words string) (*Server, error) {
	path, err := Program(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), env...)
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = in.CloseWithError(cmd.Wait())
		close(ended)
	}()
	s := &Server{stop: func() {
		cancel()
		<-ended
	}}
	said := make(chan string, 1)
	go func() {
		all := ""
		lines := bufio.NewScanner(out)
		for words != "" && lines.Scan() {
			if all += lines.Text() + "\n"; strings.Contains(all, words) {
				all = ""
				break
			}
		}
		said <- all
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case all := <-said:
		if all != "" {
			s.Stop()
			return nil, fmt.Errorf("%s ended:\n%s", name, all)
		}
	case <-time.After(startTime):
		s.Stop()
		return nil, fmt.Errorf("%s did not start within %v", name, startTime)
	}
	return s, nil
}

// freePort returns a port of 127.0.0.1 that nobody listens on, of those that no
// system gives to who asks for any port: nobody else gets it by chance before the
// server has it.
func freePort() (string, error) {
	var err error
	for range 100 {
		port := strconv.Itoa(20000 + mathrand.IntN(10000)) //nolint:gosec // whoever guesses it gets nothing
		var l net.Listener
		if l, err = net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			return port, l.Close()
		}
	}
	return "", err
}

// Tool returns the path of a program that .ci/deps installs.
func Tool(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "nbhush-dev", "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w (%s)", ErrNoTool, name)
	}
	return path, nil
}
