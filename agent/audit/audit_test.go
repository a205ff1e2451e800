package audit

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/nbhush/nbhush/agent/secret"
)

// TestMain lets the tests start this binary again as a writer of its own.
func TestMain(m *testing.M) {
	if os.Getenv("NBHUSH_TEST_WRITER") != "" {
		fmt.Fprintln(os.Stderr, writeForever("audit.jsonl")) // in the folder that it was started in
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForever appends entries and says the reason of each that is confirmed.
func writeForever(path string) error {
	l, err := Open(path)
	if err != nil {
		return err
	}
	for {
		e := Entry{Op: OpGet, Name: "A", Verdict: Allowed, Reason: rand.Text()}
		if mrand.IntN(3) == 0 {
			e.Op = OpSet // which is synced
		}
		if err := l.Append(e); err != nil {
			return err
		}
		fmt.Println(e.Reason)
	}
}

func logPath(t testing.TB) string { return filepath.Join(t.TempDir(), "state", "audit.jsonl") }

func mustOpen(t testing.TB, path string) *Log {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func mustAppend(t testing.TB, l *Log, reasons ...string) {
	t.Helper()
	for _, r := range reasons {
		if err := l.Append(Entry{Who: Who{PID: 7, Exe: "/bin/x"}, Op: OpGet, Name: "A", Verdict: Allowed, Reason: r}); err != nil {
			t.Fatal(err)
		}
	}
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantWhole(t *testing.T, path string, want int) {
	t.Helper()
	if n, err := Verify(path); err != nil || n != want {
		t.Errorf("verify: %d, %v, want %d", n, err, want)
	}
}

func TestChain(t *testing.T) {
	path := logPath(t)
	mustAppend(t, mustOpen(t, path), "one", "two")
	l := mustOpen(t, path)
	mustAppend(t, l, "three")
	wantWhole(t, path, 3)

	lines := bytes.Split(bytes.TrimSpace(mustRead(t, path)), []byte("\n"))
	var e Entry
	if err := json.Unmarshal(lines[3], &e); err != nil {
		t.Fatal(err)
	}
	if e.Seq != 3 || e.Reason != "three" || e.Prev != hash(lines[2]) || e.Time.IsZero() || e.Who.PID != 7 || e.Op != OpGet || e.Name != "A" {
		t.Errorf("entry %+v", e)
	}
	if st, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	other := logPath(t)
	mustOpen(t, other)
	if bytes.Equal(bytes.Split(mustRead(t, other), []byte("\n"))[0], lines[0]) {
		t.Error("two logs begin alike")
	}
}

func TestVerifyFindsEdits(t *testing.T) {
	path := logPath(t)
	mustAppend(t, mustOpen(t, path), "a", "b", "c", "d")
	whole := mustRead(t, path)
	lines := bytes.SplitAfter(whole, []byte("\n"))
	lines = lines[:len(lines)-1]
	swap := func(i, j int) [][]byte {
		c := slices.Clone(lines)
		c[i], c[j] = c[j], c[i]
		return c
	}
	change := func(i int, old, new string) [][]byte {
		c := slices.Clone(lines)
		c[i] = bytes.Replace(c[i], []byte(old), []byte(new), 1)
		return c
	}
	for _, c := range []struct {
		name  string
		lines [][]byte
		line  int
	}{
		{"reason", change(1, `"reason":"a"`, `"reason":"z"`), 3},
		{"verdict", change(3, `"allow"`, `"deny"`), 5},
		{"genesis", change(0, `"genesis":"`, `"genesis":"Z`), 2},
		{"blank", change(2, `,"op"`, `, "op"`), 4},
		{"taken out", slices.Delete(slices.Clone(lines), 2, 3), 3},
		{"no first line", lines[1:], 1},
		{"twice", slices.Insert(slices.Clone(lines), 2, lines[2]), 4},
		{"swapped", swap(2, 3), 3},
		{"not JSON", change(2, "{", "("), 3},
		{"unknown field", change(4, `{"time"`, `{"x":1,"time"`), 5},
		{"number", change(4, `"seq":4`, `"seq":5`), 5},
		{"empty line", slices.Insert(slices.Clone(lines), 2, []byte("\n")), 3},
		{"long line", slices.Insert(slices.Clone(lines), 2, append(bytes.Repeat([]byte("x"), 3*maxLine), '\n')), 3},
		{"half a line", append(slices.Clone(lines[:4]), lines[4][:20]), 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(path, bytes.Join(c.lines, nil), 0o600); err != nil {
				t.Fatal(err)
			}
			n, err := Verify(path)
			var d *DamagedError
			if !errors.As(err, &d) || d.Line != c.line || n != max(0, c.line-2) || d.Hint() == "" {
				t.Errorf("%d, %v, want line %d", n, err, c.line)
			}
		})
	}
	if _, err := Verify(path + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// A crash leaves any part of the last line. The next Append puts it aside.
func TestHalfALine(t *testing.T) {
	path := logPath(t)
	mustAppend(t, mustOpen(t, path), "a", "b")
	whole := mustRead(t, path)
	last := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	genesis := bytes.IndexByte(whole, '\n') + 1
	cuts := []int{1, genesis / 2, genesis - 1}
	for cut := last; cut < len(whole); cut += 7 {
		cuts = append(cuts, cut)
	}
	cuts = append(cuts, len(whole)-1)
	for _, cut := range cuts {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, mustOpen(t, path), "after")
		want, half := 1, whole[:cut]
		if cut > genesis {
			want, half = 2, whole[last:cut]
		}
		wantWhole(t, path, want)
		if len(half) == 0 {
			continue
		}
		if got := mustRead(t, path+".torn"); !bytes.Equal(got, append(bytes.Clone(half), '\n')) {
			t.Errorf("cut at %d: %q was set aside, want %q", cut, got, half)
		}
	}
}

// Another process crashes while this one has the log open; and a power cut may
// leave more than a line of zeros.
func TestHalfALineOfAnother(t *testing.T) {
	path := logPath(t)
	l := mustOpen(t, path)
	for i, half := range [][]byte{[]byte(`{"ti`), []byte("x"), make([]byte, 3*maxLine)} {
		mustAppend(t, l, "before")
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(half); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, "after")
		wantWhole(t, path, 2*i+2)
	}
}

func TestLastLineDamaged(t *testing.T) {
	path := logPath(t)
	l := mustOpen(t, path)
	mustAppend(t, l, "a")
	damaged := append(mustRead(t, path), "nonsense\n"...)
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	var d *DamagedError
	if err := l.Append(Entry{Op: OpGet, Verdict: Allowed}); !errors.As(err, &d) || !strings.Contains(d.Hint(), path) {
		t.Errorf("append: %v", err)
	}
	if _, err := Open(path); !errors.As(err, &d) {
		t.Errorf("open: %v", err)
	}
	if !bytes.Equal(mustRead(t, path), damaged) {
		t.Error("a damaged log was changed")
	}
	// What the hint says works while the agent runs.
	if err := os.Rename(path, path+".damaged"); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, "b")
	wantWhole(t, path, 1)
}

func TestManyWriters(t *testing.T) {
	path := logPath(t)
	var all sync.WaitGroup
	for range 4 { // two goroutines on each of two logs
		l := mustOpen(t, path)
		for range 2 {
			all.Go(func() {
				for i := range 25 {
					if err := l.Append(Entry{Op: OpGet, Name: "A", Verdict: Allowed, Reason: fmt.Sprint(i)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	wantWhole(t, path, 200)
}

// Two writers at once, one of which is killed: what either confirmed is there.
func TestKilledWriters(t *testing.T) {
	kills := 50
	if testing.Short() {
		kills = 5
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := logPath(t)
	mustOpen(t, path)
	for range kills {
		var said [2][]string
		var all sync.WaitGroup
		for i := range said {
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Dir, cmd.Env = filepath.Dir(path), append(os.Environ(), "NBHUSH_TEST_WRITER=1")
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				lines := bufio.NewScanner(out)
				for left := mrand.IntN(20); lines.Scan(); left-- {
					said[i] = append(said[i], lines.Text())
					if left == 0 {
						time.Sleep(mrand.N(time.Millisecond)) // only moves the point of the kill
						_ = cmd.Process.Kill()
					}
				}
				if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
					t.Errorf("the writer ended before it was killed: %v", err)
				}
			})
		}
		all.Wait()
		mustAppend(t, mustOpen(t, path), "between")
		src := mustRead(t, path)
		for _, reason := range slices.Concat(said[:]...) {
			if !bytes.Contains(src, []byte(`"reason":"`+reason+`"`)) && len(reason) == len(rand.Text()) {
				t.Fatalf("a confirmed entry is lost")
			}
		}
	}
	if n, err := Verify(path); err != nil || n < kills {
		t.Errorf("verify: %d, %v", n, err)
	}
}

// A kernel chooses some of the texts, and people paste values where names belong.
func TestTextsAreHarmless(t *testing.T) {
	path := logPath(t)
	l := mustOpen(t, path)
	pasted := "sk-" + rand.Text()
	nasty := "\x1b[2J\r\n\x00\u202e\u2028\xff\u0085" + strings.Repeat("\x01", 1000)
	err := l.Append(Entry{
		Who: Who{Exe: nasty, Kernel: nasty, Notebook: nasty}, Op: OpGet, Name: secret.Name(pasted), Verdict: Denied, Reason: nasty,
	})
	if err != nil {
		t.Fatal(err)
	}
	wantWhole(t, path, 1)
	src := mustRead(t, path)
	if bytes.Contains(src, []byte(pasted)) {
		t.Error("the log holds what is not a name")
	}
	var e Entry
	if err := json.Unmarshal(bytes.Split(src, []byte("\n"))[1], &e); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{e.Who.Exe, e.Who.Kernel, e.Who.Notebook, e.Reason} {
		if len(text) > maxText || !strings.HasPrefix(text, `\x1b[2J\r\n\x00\u202e\u2028\xff\u0085\x01`) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("text %q", text)
		}
	}
	for _, bad := range []Entry{{Op: "peek", Verdict: Allowed}, {Op: OpGet, Verdict: "maybe"}, {}} {
		if err := l.Append(bad); err == nil {
			t.Errorf("%+v was written", bad)
		}
	}
	wantWhole(t, path, 1)
}

// The longest entry that there can be fits into a line that Verify reads.
func TestLongestEntry(t *testing.T) {
	path := logPath(t)
	worst := strings.Repeat("<", 5000)
	e := Entry{Who: Who{PID: 1 << 40, Exe: worst, Kernel: worst, Notebook: worst}, Op: OpUnlock, Name: secret.Name(strings.Repeat("A", secret.MaxNameLen)), Verdict: Denied, Reason: worst}
	l := mustOpen(t, path)
	for range 2 {
		if err := l.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	mustAppend(t, mustOpen(t, path), "again")
	wantWhole(t, path, 3)
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x00\u202e\xff…")
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s)
		if len(got) > maxText || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q", got)
		}
		if again := printable(got); again != got {
			t.Fatalf("%q became %q", got, again)
		}
	})
}

// fixedLog returns a log that is the same each time, as a fuzzer needs it.
func fixedLog(t testing.TB, reasons ...string) []byte {
	t.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	var src, prev []byte
	add := func(line any) {
		var err error
		if prev, err = json.Marshal(line); err != nil {
			t.Fatal(err)
		}
		src = append(append(src, prev...), '\n')
	}
	add(genesis{Version: version, Time: now, Genesis: "fixed"})
	for i, r := range reasons {
		add(Entry{Time: now, Seq: uint64(i) + 1, Op: OpGet, Name: "A", Verdict: Allowed, Reason: r, Prev: hash(prev)})
	}
	return src
}

// Any change of a log but one of its last line is found, and nothing panics.
func FuzzVerify(f *testing.F) {
	whole := fixedLog(f, "a", "b", "c")
	if n, line, err := (&chain{}).read(bytes.NewReader(whole), 0); n != 3 || err != nil {
		f.Fatalf("%d, line %d, %v", n, line, err)
	}
	last := bytes.LastIndexByte(whole[:len(whole)-1], '\n')
	f.Add([]byte{}, 0, 0)
	f.Add([]byte("x"), 10, 1)
	f.Add([]byte("\n"), 300, 0)
	f.Add([]byte{}, 200, 100)
	f.Add(whole, 0, 1<<20)
	f.Fuzz(func(t *testing.T, put []byte, at, cut int) {
		at = min(max(at, 0), len(whole))
		cut = min(max(cut, 0), len(whole)-at)
		src := slices.Concat(whole[:at], put, whole[at+cut:])
		n, line, err := (&chain{}).read(bytes.NewReader(src), 0)
		lines := bytes.Count(src, []byte("\n"))
		if err == nil && n != max(0, lines-1) || err != nil && (line < 1 || line > lines+1) {
			t.Fatalf("%d entries, line %d, %v, of %d lines", n, line, err, lines)
		}
		if err == nil && len(src) > last && !bytes.Equal(src[:last], whole[:last]) && bytes.HasSuffix(src, whole[last:]) {
			t.Fatalf("a change at %d was not found", at)
		}
	})
}

func BenchmarkAppendGet(b *testing.B) {
	l := mustOpen(b, logPath(b))
	for b.Loop() {
		mustAppend(b, l, "asked by a kernel")
	}
}
