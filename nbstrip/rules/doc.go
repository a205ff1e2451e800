// Package rules reads what a project's nbhush.toml says of stripping.
//
//	nbhush.toml ── Parse ──> Rules ── OnSecret ──> what happens to a secret: nbhush strip, watch, git's filter
//	                           │
//	                           └───── Outputs ───> what git's filter takes out besides, as nbstripout does
//
// The table needs nobody's approval: it gives no secret to anybody, and with
// every setting values still go.
package rules
