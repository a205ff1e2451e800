package wandb

import (
	"encoding/binary"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Text is one string of a record.
type Text struct {
	// Where is the kind of the record, such as "config", or "field 42" where it has no name
	// here, or "" for the whole record.
	Where string
	// Key is what the string is the value of, in config, history and summary. It comes
	// from the run and may itself hold a secret.
	Key  []byte
	Text []byte // of the record's bytes
}

// kinds are the fields of wandb's message Record that have strings of the user's.
var kinds = map[uint64]string{
	2: "history", 3: "summary", 4: "output", 5: "config", 6: "files", 7: "stats", 8: "artifact", 9: "tensorboard", 10: "alert", 11: "telemetry",
	12: "metric", 13: "output", 17: "run", 18: "exit", 25: "used artifact", 26: "environment", 27: "output", 100: "request",
}

// maxDepth is how deep messages may lie in each other.
const maxDepth = 32

// Texts calls text with every string of a record, as far as it is known without a
// schema what is one, and at last with the whole record: bytes that look like a
// message may be a string all the same.
func Texts(record []byte, text func(Text)) {
	defer text(Text{Text: record})
	fields, ok := parse(record)
	if !ok {
		return
	}
	for _, f := range fields {
		where := kinds[f.number]
		if where == "" {
			where = "field " + strconv.FormatUint(f.number, 10)
		}
		if f.bytes != nil {
			walk(f.bytes, where, nil, maxDepth, text)
		}
	}
}

// walk goes down into a field, unless it is text.
func walk(b []byte, where string, key []byte, depth int, text func(Text)) {
	if len(b) == 0 {
		return
	}
	fields, ok := []field(nil), false
	if depth > 0 && !printable(b) {
		fields, ok = parse(b)
	}
	if !ok {
		text(Text{Where: where, Key: key, Text: b})
		return
	}
	if k := itemKey(fields); k != nil {
		key = k
	}
	for _, f := range fields {
		if f.bytes != nil {
			walk(f.bytes, where, key, depth-1, text)
		}
	}
}

// itemKey returns the key of an item of config, history or summary: field 1, or
// the first of 2, beside a value_json.
func itemKey(fields []field) (key []byte) {
	value := false
	for _, f := range fields {
		switch {
		case f.number == 16 && f.bytes != nil:
			value = true
		case key == nil && (f.number == 1 || f.number == 2) && len(f.bytes) > 0 && printable(f.bytes):
			key = f.bytes
		}
	}
	if !value {
		return nil
	}
	return key
}

// field is a field of a message; bytes is nil for a number.
type field struct {
	number uint64
	bytes  []byte
}

// parse returns the fields of b, if it is a message as a whole.
func parse(b []byte) (fields []field, ok bool) {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 || tag>>3 >= 1<<29 {
			return nil, false
		}
		b = b[n:]
		f := field{number: tag >> 3}
		size := uint64(0)
		switch tag & 7 {
		case 0: // varint
			if _, n = binary.Uvarint(b); n <= 0 {
				return nil, false
			}
			size = uint64(n)
		case 1:
			size = 8
		case 2: // with its length
			if size, n = binary.Uvarint(b); n <= 0 {
				return nil, false
			}
			b = b[n:]
			if size > uint64(len(b)) {
				return nil, false
			}
			f.bytes = b[:size:size]
		case 5:
			size = 4
		default:
			return nil, false
		}
		if size > uint64(len(b)) {
			return nil, false
		}
		b = b[size:]
		fields = append(fields, f)
	}
	return fields, true
}

// printable reports whether b is text that one would print.
func printable(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 || unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' && r != 0x1b {
			return false
		}
		b = b[n:]
	}
	return true
}
