package wandb

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write returns a log of records, as LevelDB's writer makes it.
func write(records ...[]byte) []byte {
	out := []byte(":W&B\xe1\xbe\x00")
	for _, r := range records {
		for first := true; first || len(r) > 0; first = false {
			room := blockLen - len(out)%blockLen
			if room < chunkHead {
				out = append(out, make([]byte, room)...)
				room = blockLen
			}
			n := min(len(r), room-chunkHead)
			kind := byte(kindMiddle)
			switch {
			case first && n == len(r):
				kind = kindFull
			case first:
				kind = kindFirst
			case n == len(r):
				kind = kindLast
			}
			out = append(out, 0, 0, 0, 0, byte(n), byte(n>>8), kind)
			out = append(out, r[:n]...)
			r = r[n:]
		}
	}
	return out
}

// message returns fields of protobuf: pairs of a number and bytes.
func message(pairs ...any) (b []byte) {
	for i := 0; i < len(pairs); i += 2 {
		b = binary.AppendUvarint(b, uint64(pairs[i].(int))<<3|2)
		var v []byte
		switch p := pairs[i+1].(type) {
		case string:
			v = []byte(p)
		case []byte:
			v = p
		}
		b = append(binary.AppendUvarint(b, uint64(len(v))), v...)
	}
	return b
}

// readAll returns the records of a log.
func readAll(t testing.TB, log []byte) (all [][]byte, damaged int) {
	t.Helper()
	damaged, err := Read(bytes.NewReader(log), func(r Record) error {
		if r.Index != len(all) {
			t.Errorf("record %d has the number %d", len(all), r.Index)
		}
		all = append(all, bytes.Clone(r.Bytes))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, damaged
}

func TestRead(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789"), 20_000)
	end := make([]byte, blockLen-headerLen-2*chunkHead-3) // after it, three bytes of the block are left
	for _, c := range []struct {
		name    string
		log     []byte
		want    [][]byte
		damaged int
	}{
		{"none", write(), nil, 0},
		{"two", write([]byte("a"), []byte("bc")), [][]byte{[]byte("a"), []byte("bc")}, 0},
		{"over blocks", write([]byte("a"), long, []byte("z")), [][]byte{[]byte("a"), long, []byte("z")}, 0},
		{"padded block", write([]byte{1}, end, []byte("z")), [][]byte{{1}, end, []byte("z")}, 0},
		{"cut short", write([]byte("a"), long)[:blockLen], [][]byte{[]byte("a"), long[:blockLen-headerLen-1-2*chunkHead]}, 1},
		{"unwritten room", append(write([]byte("a")), make([]byte, 100)...), [][]byte{[]byte("a")}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, damaged := readAll(t, c.log)
			if diff := cmp.Diff(c.want, got); diff != "" || damaged != c.damaged {
				t.Errorf("damaged %d, want %d; %s", damaged, c.damaged, diff)
			}
		})
	}
}

func TestReadOther(t *testing.T) {
	for _, text := range []string{"", ":W&", "{\"a\": 1}, and more"} {
		if _, err := Read(strings.NewReader(text), func(Record) error { return nil }); !errors.Is(err, errNotLog) {
			t.Errorf("%q: %v", text, err)
		}
	}
	stop := errors.New("stop")
	if _, err := Read(bytes.NewReader(write([]byte("a"))), func(Record) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

// A damaged chunk costs no more than its block, and what it held is still given.
func TestReadDamaged(t *testing.T) {
	value := []byte(rand.Text())
	log := write([]byte("before"), value, bytes.Repeat([]byte("x"), blockLen), []byte("after"))
	log[headerLen+chunkHead+len("before")+6] = 9 // the kind of the second
	got, damaged := readAll(t, log)
	joined := bytes.Join(got, []byte("\n"))
	if damaged == 0 || !bytes.Contains(joined, value) || !bytes.Contains(joined, []byte("after")) {
		t.Errorf("damaged %d, %d records", damaged, len(got))
	}
}

func TestTexts(t *testing.T) {
	item := func(key, value string) []byte { return message(1, key, 16, value) }
	var got []string
	for _, r := range [][]byte{
		message(5, message(1, item("API_KEY", `"v1"`), 1, message(2, "a", 2, "b", 16, "1"))),
		message(17, message(6, message(1, item("K", `{"x": "v2"}`)), 8, "about this run")),
		message(13, message(2, "printed\x1b[0m\n")),
		message(77, "of a newer wandb"),
		[]byte("\xff no message"),
	} {
		Texts(r, func(x Text) {
			if x.Where == "" && bytes.Equal(x.Text, r) {
				x.Text = []byte("whole")
			}
			got = append(got, fmt.Sprintf("%s|%s|%s", x.Where, x.Key, x.Text))
		})
	}
	want := []string{
		"config|API_KEY|API_KEY", `config|API_KEY|"v1"`, "config|a|a", "config|a|b", "config|a|1", "||whole",
		"run|K|K", `run|K|{"x": "v2"}`, "run||about this run", "||whole",
		"output||printed\x1b[0m\n", "||whole", "field 77||of a newer wandb", "||whole", "||whole",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzRead holds that no log makes Read or Texts panic or give more than there
// is, and that the texts of a record are its bytes.
func FuzzRead(f *testing.F) {
	f.Add(write([]byte("a"), message(5, message(1, message(1, "k", 16, "v")))))
	f.Add(write(bytes.Repeat([]byte("x"), 40_000)))
	f.Add([]byte(":W&B\xe1\xbe\x00\x00\x00\x00\x00\xff\xff\x02"))
	f.Fuzz(func(t *testing.T, log []byte) {
		total := 0
		_, err := Read(bytes.NewReader(log), func(r Record) error {
			total += len(r.Bytes)
			texts := 0
			Texts(r.Bytes, func(x Text) {
				texts += len(x.Text)
				if !bytes.Contains(r.Bytes, x.Text) {
					t.Error("a text that is not in the record")
				}
			})
			if texts > 2*len(r.Bytes) {
				t.Errorf("%d bytes of texts in a record of %d", texts, len(r.Bytes))
			}
			return nil
		})
		if total > len(log) {
			t.Errorf("%d bytes of records in a log of %d", total, len(log))
		}
		if err != nil && bytes.HasPrefix(log, []byte(":W&B\xe1\xbe\x00")) {
			t.Errorf("a log was refused: %v", err)
		}
	})
}

// FuzzTexts holds that a value that a message has as a string is in one text as a
// whole, whatever is around it.
func FuzzTexts(f *testing.F) {
	f.Add("a", "b", 5, 16)
	f.Add("\n\x05hello", "", 1, 1)
	f.Fuzz(func(t *testing.T, before, after string, outer, inner int) {
		value := rand.Text()
		outer, inner = outer&0xffff+1, inner&0xffff+1
		record := message(outer, message(inner, before, inner+1, before+value+after))
		found := false
		Texts(record, func(x Text) { found = found || bytes.Contains(x.Text, []byte(value)) })
		if !found {
			t.Errorf("the value is in no text of %q", record)
		}
	})
}
