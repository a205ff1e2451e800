package policy

import (
	"path"
	"strings"
)

// maxPattern is the length of the longest pattern, in bytes.
const maxPattern = 256

// validPattern reports whether p can be matched: parts between slashes as
// package path has them, or ** for any number of parts.
func validPattern(p string) bool {
	if p == "" || len(p) > maxPattern {
		return false
	}
	for part := range strings.SplitSeq(p, "/") {
		if _, err := path.Match(part, ""); err != nil {
			return false
		}
	}
	return true
}

// matches reports whether a pattern fits text. A star stands for anything but a
// slash, and a part ** for any number of parts, none among them.
func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "/")
	// can[i] says whether the first i parts of the pattern fit the parts of text so far.
	can := make([]bool, len(parts)+1)
	can[0] = true
	skip := func() {
		for i, p := range parts {
			can[i+1] = can[i+1] || can[i] && p == "**"
		}
	}
	skip()
	for word := range strings.SplitSeq(text, "/") {
		for i := len(parts) - 1; i >= 0; i-- {
			if parts[i] == "**" {
				can[i+1] = can[i+1] || can[i]
				continue
			}
			ok, err := path.Match(parts[i], word)
			can[i+1] = can[i] && ok && err == nil
		}
		can[0] = false
		skip()
	}
	return can[len(parts)]
}

func matchesAny(patterns []string, text string) bool {
	for _, p := range patterns {
		if matches(p, text) {
			return true
		}
	}
	return false
}
