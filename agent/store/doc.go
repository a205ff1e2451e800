// Package store keeps values by name: in the keyring of the operating system,
// in an encrypted file (package vault), or in memory.
//
//	                 ┌─ keyring ── Secret Service (Linux), Keychain, Credential Manager
//	agent ── Store ──┼─ spill ──── keyring for short values, vault for long ones
//	          │      ├─ vault ──── vault.age
//	          │      └─ memory
//	          │ Names
//	          ▼
//	        Index ─── index.json: names, kinds, times; heals itself from Names
//
//	install ── Choose ──▶ config.toml: store = "keyring" ──▶ Chosen ── agent
//
// On Linux an item has the attributes, label and content type that Python's
// keyring gives it, so that either overwrites what the other wrote. Where other
// programs left several items of one name, the newest counts, and Set leaves
// one. Nothing waits without end for a password prompt: where there is no
// screen, a locked keyring is ErrLocked.
//
// # Invariants
//
//   - What Set confirmed, Get returns, also after a crash. A Set that was cut off
//     leaves the old value or the new one.
//   - No error and no file but the store itself holds a value.
//   - The index loses no entry with two writers. It is a list for people; which
//     secrets there are is what the store says.
package store
