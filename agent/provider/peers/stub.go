package peers

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// Faults are what a Stub does wrong on demand; "" is nothing.
var Faults = []string{"denied", "missing", "silent", "half", "error", "throttled", "endless", "redirect", "garbage", "closed"}

// Stub is an HTTPS server that misbehaves on demand, and says the value in every
// text that a client might be tempted to repeat.
type Stub struct {
	*httptest.Server
	CA    string // file of its certificate
	Fault atomic.Value
	Value string
}

// NewStub serves what good answers. Its certificate, in dir, is of example.com and 127.0.0.1.
func NewStub(dir, value string, good http.HandlerFunc) (*Stub, error) {
	s := &Stub{Value: value, CA: filepath.Join(dir, "stub-ca.pem")}
	s.Fault.Store("")
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault := s.Fault.Load().(string); fault != "" {
			s.fail(w, r, fault)
			return
		}
		good(w, r)
	}))
	s.StartTLS()
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return s, os.WriteFile(s.CA, block, 0o600)
}

func (s *Stub) fail(w http.ResponseWriter, r *http.Request, fault string) {
	text := `{"errors":["` + s.Value + `"],"message":"` + s.Value + `","__type":"` + s.Value + `","error":{"message":"` + s.Value + `"}}`
	_, _ = io.Copy(io.Discard, r.Body) // so that the end of the client is seen
	switch fault {
	case "denied":
		http.Error(w, text, http.StatusForbidden)
	case "missing":
		http.Error(w, text, http.StatusNotFound)
	case "silent":
		<-r.Context().Done()
	case "half":
		w.Header().Set("Content-Length", "100000")
		_, _ = io.WriteString(w, `{"data":{"v":"`+s.Value)
	case "error":
		http.Error(w, text, http.StatusInternalServerError)
	case "throttled":
		w.Header().Set("Retry-After", "7")
		http.Error(w, text, http.StatusTooManyRequests)
	case "endless":
		_, _ = io.Copy(io.Discard, r.Body) // what a server does not read may end in a reset, and nothing else arrive
		part := []byte(`{"data":{"v":"` + strings.Repeat(s.Value, 1000))
		for r.Context().Err() == nil {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	case "redirect":
		http.Redirect(w, r, "https://elsewhere.invalid/"+s.Value, http.StatusTemporaryRedirect)
	case "garbage":
		_, _ = io.WriteString(w, "<html>"+s.Value)
	case "closed":
		panic(http.ErrAbortHandler)
	}
}
