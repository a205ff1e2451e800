package vault

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

func digest(v secret.Value) string {
	sum := sha256.Sum256(v.Reveal())
	return hex.EncodeToString(sum[:])
}

// writeForever sets and deletes, and says before and after each write what it
// is: begin NAME DIGEST, done NAME DIGEST. A digest of - is a deletion.
func writeForever(dir string) error {
	s := Open(filepath.Join(dir, "vault.age"))
	for {
		name := secret.Name(fmt.Sprintf("NAME_%d", mrand.IntN(8)))
		v := secret.New([]byte(rand.Text()))
		is, write := digest(v), func() error { return s.Set(name, v) }
		if mrand.IntN(4) == 0 {
			is, write = "-", func() error { return found(s.Delete(name)) }
		}
		fmt.Println("begin", name, is)
		if err := write(); err != nil {
			return err
		}
		fmt.Println("done", name, is)
	}
}

func found(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

func TestKilledWriters(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 10
	}
	if n, err := strconv.Atoi(os.Getenv("NBHUSH_TEST_KILLS")); err == nil {
		kills = n
	}
	dir := t.TempDir()
	confirmed := map[secret.Name]string{} // what was done; - and no entry are the same
	inside := 0
	for i := range kills {
		name, begun := killOne(t, dir, confirmed)
		if name != "" {
			inside++
		}
		s := Open(filepath.Join(dir, "vault.age"))
		for n := range 8 {
			n := secret.Name(fmt.Sprintf("NAME_%d", n))
			got := "-"
			if v, err := s.Get(n); err == nil {
				got = digest(v)
			} else if !errors.Is(err, store.ErrNotFound) {
				t.Fatalf("kill %d: get %s: %v", i, n, err)
			}
			want, ok := confirmed[n]
			if !ok {
				want = "-"
			}
			if got != want && (n != name || got != begun) {
				t.Fatalf("kill %d: %s is neither what was confirmed nor what was begun", i, n)
			}
			confirmed[n] = got
		}
	}
	t.Logf("%d of %d kills cut a write off", inside, kills)
	if inside == 0 {
		t.Errorf("none of %d kills cut a write off", kills)
	}
	if err := Open(filepath.Join(dir, "vault.age")).Set("LAST", random()); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".vault.age*"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files stay: %v, %v", left, err)
	}
}

// killOne starts a writer, kills it after a random line and a moment more, notes
// in confirmed what the writer had done, and returns the write that was cut off.
func killOne(t *testing.T, dir string, confirmed map[secret.Name]string) (cut secret.Name, begun string) {
	t.Helper()
	cmd := again(t, "write", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for left := 1 + mrand.IntN(12); lines.Scan(); left-- {
		f := strings.Fields(lines.Text())
		if len(f) != 3 {
			break // the end of a line that was being written
		}
		name := secret.Name(f[1])
		switch f[0] {
		case "begin":
			cut, begun = name, f[2]
		case "done":
			confirmed[name], cut = f[2], ""
		}
		if left == 0 {
			time.Sleep(mrand.N(2 * time.Millisecond)) // only moves the point of the kill
			_ = cmd.Process.Kill()
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the writer ended before it was killed: %v", err)
	}
	return cut, begun
}

// addMany sets 30 names that no other writer sets.
func addMany(dir string) error {
	s := Open(filepath.Join(dir, "vault.age"))
	for i := range 30 {
		name := secret.Name(fmt.Sprintf("P%d_%d", os.Getpid(), i))
		if err := s.Set(name, secret.New([]byte(name))); err != nil {
			return err
		}
	}
	return nil
}

func TestManyWriters(t *testing.T) {
	dir := t.TempDir()
	var done []func() error
	var pids []int
	for range 4 {
		cmd := again(t, "add", dir)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done, pids = append(done, cmd.Wait), append(pids, cmd.Process.Pid)
	}
	for _, wait := range done {
		if err := wait(); err != nil {
			t.Error(err)
		}
	}
	s := Open(filepath.Join(dir, "vault.age"))
	for _, pid := range pids {
		for i := range 30 {
			name := secret.Name(fmt.Sprintf("P%d_%d", pid, i))
			wantValue(t, s, name, secret.New([]byte(name)))
		}
	}
}
