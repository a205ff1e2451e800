package store

// KeyringLimit is the length of the longest value that the keyring holds, in
// bytes; 0 is any. The security program reads commands of up to 4096 bytes, and
// the value is in one of them in base64.
const KeyringLimit = 2800
