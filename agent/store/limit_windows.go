package store

// KeyringLimit is the length of the longest value that the keyring holds, in
// bytes; 0 is any. It is CRED_MAX_CREDENTIAL_BLOB_SIZE, 5 × 512.
const KeyringLimit = 2560
