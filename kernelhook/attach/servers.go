package attach

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
)

const (
	maxServers  = 100
	maxSessions = 4 << 20 // bytes of a server's list of sessions, or of its own file
)

// server is a jpserver-PID.json, as jupyter_server's ServerApp.server_info writes it.
type server struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	Base  string `json:"base_url"`
	Root  string `json:"root_dir"`
	Sock  string `json:"sock"`
	PID   int    `json:"pid"`
}

// notebooks asks the Jupyter servers of this user which kernel belongs to which
// notebook: absolute paths by kernel id. A server that does not answer in time
// is left out.
func notebooks(ctx context.Context, runtime string) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	files, _ := filepath.Glob(filepath.Join(quoteGlob(runtime), "jpserver-*.json"))
	var (
		mu  sync.Mutex
		wg  sync.WaitGroup
		all = map[string]string{}
	)
	for _, file := range files[:min(len(files), maxServers)] {
		wg.Go(func() {
			s, err := readServer(file)
			if err != nil {
				return
			}
			known, err := s.sessions(ctx)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(all, known)
		})
	}
	wg.Wait()
	return all
}

func quoteGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

var errNoServer = errors.New("no Jupyter server")

// readServer reads a server's file. One whose process is gone is none: at its
// port somebody else may listen by now, who must not get its token.
func readServer(file string) (s server, err error) {
	f, err := os.Open(file)
	if err != nil {
		return s, err
	}
	defer func() { _ = f.Close() }()
	if err := json.NewDecoder(io.LimitReader(f, maxSessions)).Decode(&s); err != nil {
		return s, err
	}
	if s.PID <= 0 || !running(s.PID) {
		return s, errNoServer
	}
	return s, nil
}

// sessions asks for the sessions, "Sessions API" of jupyter_server.
func (s server) sessions(ctx context.Context) (map[string]string, error) {
	at := s.URL
	if s.Sock != "" { // the url has the socket's path for a host
		at = "http://localhost/" + strings.TrimPrefix(s.Base, "/")
	}
	base, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	var client http.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the token stays here
	transport := &http.Transport{DisableKeepAlives: true}
	client.Transport = transport
	if s.Sock != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", s.Sock)
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath("api", "sessions").String(), nil)
	if err != nil {
		return nil, err
	}
	if s.Token != "" {
		r.Header.Set("Authorization", "token "+s.Token)
	}
	res, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, errNoServer
	}
	var list []struct {
		Path   string `json:"path"`
		Kernel struct {
			ID string `json:"id"`
		} `json:"kernel"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxSessions)).Decode(&list); err != nil {
		return nil, err
	}
	known := map[string]string{}
	for _, l := range list {
		if book := s.file(l.Path); book != "" && l.Kernel.ID != "" {
			known[l.Kernel.ID] = book
		}
	}
	return known, nil
}

// file returns the file that the path of a session means, "" if there is none:
// a console has a session too, and contents may lie elsewhere than in files.
func (s server) file(name string) string {
	_, rest, _ := strings.Cut(name, ":") // the drive is another one
	for _, name := range []string{name, rest} {
		file := filepath.Join(s.Root, filepath.FromSlash(path.Clean("/"+name)))
		if st, err := os.Stat(file); err == nil && st.Mode().IsRegular() && filepath.IsAbs(file) {
			return file
		}
	}
	return ""
}
