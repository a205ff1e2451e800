package api

import "time"

// VersionInfo is one value that a secret has or had, without the value.
type VersionInfo struct {
	Number  int       `json:"number"` // 0 for the current one, 1 for the one before
	Since   time.Time `json:"since"`
	Expires time.Time `json:"expires,omitzero"`
}

// RestoreRequest asks for a former version by the time since when it counted,
// or, where that is zero, for the one before the current one.
type RestoreRequest struct {
	Since time.Time `json:"since,omitzero"`
}

// RotateRequest asks for a new value from where a reference says, as it is said
// in Dir, an absolute path. A zero Expires is never.
type RotateRequest struct {
	From    string    `json:"from"`
	Dir     string    `json:"dir"`
	Expires time.Time `json:"expires,omitzero"`
}

// PassphraseRequest changes the passphrase that wraps the vault's key; an empty
// New is none.
type PassphraseRequest struct {
	Old []byte `json:"old,omitempty"`
	New []byte `json:"new,omitempty"`
}

// Rollback says which files were put back to their previous generation.
type Rollback struct {
	Files []string `json:"files"`
}

// SyncRequest names a file by its absolute path, and what is done with it: Read
// merges what it holds into this machine's secrets, Write puts the result into
// it. Revive makes what was removed here, and is in the file, come back. The
// file is encrypted with the passphrase.
type SyncRequest struct {
	Path       string `json:"path"`
	Passphrase []byte `json:"passphrase"`
	Read       bool   `json:"read"`
	Write      bool   `json:"write"`
	Revive     bool   `json:"revive,omitempty"`
}

// SyncResult says what a sync changed on this machine, by name.
type SyncResult struct {
	Added   []string `json:"added"`
	Changed []string `json:"changed"`
	Removed []string `json:"removed"`
	Kept    []string `json:"kept"` // changed on both sides: the other side's value is in the history
	Secrets int      `json:"secrets"`
}

// AuditHead is where the audit log ended when the agent last remembered that. A
// Seq of 0 is that it never did.
type AuditHead struct {
	Seq   uint64    `json:"seq"`
	Hash  string    `json:"hash"`
	First uint64    `json:"first"`
	Time  time.Time `json:"time"`
}

// Found says that the secret called Name, or what looks like one, was found where
// none should be, such as a notebook that was about to be committed. The same
// with the same Sum, which stands for a content, is noted once.
type Found struct {
	Name  string `json:"name"`
	Where string `json:"where"`
	Sum   string `json:"sum,omitempty"`
}

// MoveRequest names the kind of store that the secrets go to: keyring or vault.
type MoveRequest struct {
	To string `json:"to"`
}
