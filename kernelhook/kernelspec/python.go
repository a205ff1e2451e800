package kernelspec

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// pyString returns s as a Python string literal of ASCII only, so that it means
// the same in a source file of any encoding. A byte that is not UTF-8 becomes
// the surrogate that os.fsdecode makes of it.
func pyString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\udc%02x`, s[0])
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		s = s[n:]
	}
	b.WriteByte('"')
	return b.String()
}

// pyUnquote reads what pyString wrote, and nothing else.
func pyUnquote(s string) (string, bool) {
	s, ok := strings.CutPrefix(s, `"`)
	if !ok {
		return "", false
	}
	if s, ok = strings.CutSuffix(s, `"`); !ok {
		return "", false
	}
	var b strings.Builder
	for len(s) > 0 {
		if s[0] != '\\' {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		if len(s) < 2 {
			return "", false
		}
		digits := map[byte]int{'u': 4, 'U': 8}[s[1]]
		if digits == 0 {
			b.WriteByte(s[1])
			s = s[2:]
			continue
		}
		if len(s) < 2+digits {
			return "", false
		}
		n, err := strconv.ParseUint(s[2:2+digits], 16, 32)
		if err != nil {
			return "", false
		}
		if n>>8 == 0xdc {
			b.WriteByte(byte(n))
		} else {
			b.WriteRune(rune(n))
		}
		s = s[2+digits:]
	}
	return b.String(), true
}
