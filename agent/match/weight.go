package match

import "github.com/nbhush/nbhush/agent/secret"

// MinLen is the length, in bytes, of the shortest value that can be matched.
const MinLen = 8

// Weakness returns why v cannot be matched, in words that follow "its value
// is", or "" if it can.
func Weakness(v secret.Value) string {
	if v.Len() < MinLen {
		return "shorter than 8 bytes"
	}
	return ""
}
