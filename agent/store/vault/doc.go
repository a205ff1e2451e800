// Package vault is the store for machines where no keyring answers: one
// encrypted file.
//
//	Get, Set, Delete, Names
//	         │
//	  ┌──────▼──────┐  read whole, decrypt   ┌──────────────┐
//	  │    Vault    ◀────────────────────────┤ vault.age    │ age, X25519, binary
//	  │ one lock    ├────────────────────────▶              │ temp + sync + rename
//	  │ file for    │  the bytes of before   ├──────────────┤
//	  │ all writers ├────────────────────────▶ vault.age.1  │ the previous generation
//	  └──────▲──────┘                        └──────────────┘
//	         │ identity   vault.key (0600), as it is or wrapped by a passphrase (age, scrypt),
//	         └─────────── or an item in the keyring of the operating system
//
// Inside is JSON: a version, and by name the value in base64 with two times.
// Both files are plain age files, so that the age program opens them too, also
// when nbhush is long gone:
//
//	age -d -i vault.key vault.age
//
// # Invariants
//
//   - A reader sees the generation of before or of after a write, never half.
//     Set and Delete return nil when the new one is on the disk.
//   - Two writers lose nothing: each reads, changes and replaces under the lock.
//   - A file that cannot be read whole is never replaced, and a key never is.
//   - A vault or key that other users can read is refused, not repaired: it may
//     have been read.
//
// # What it does not do
//
// It does not hide the number and rough size of the secrets, nor notice that
// somebody who can write the folder put an older generation back. The
// decrypted values are wiped where this package made them; copies inside
// of the cipher are left to the garbage collector.
package vault
