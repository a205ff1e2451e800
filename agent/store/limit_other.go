//go:build !darwin && !windows

package store

// KeyringLimit is the length of the longest value that the keyring holds, in
// bytes; 0 is any.
const KeyringLimit = 0
