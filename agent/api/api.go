// Package api holds the requests and responses that travel between the agent
// and everybody else, and nothing that acts on them.
//
// The socket carries HTTP/1.1 with JSON bodies for commands, and after
// GET /v1/stream with "Upgrade: nbhush-stream/1" the frames described in
// stream.go for kernels and filters.
//
//	GET    /v1/status              -> Status
//	GET    /v1/secrets             -> []Secret
//	PUT    /v1/secrets/{name}      body: the value, application/octet-stream; ?expires=RFC3339 -> SetResult
//	DELETE /v1/secrets/{name}      -> Secret
//	GET    /v1/secrets/{name}/history   -> []VersionInfo
//	POST   /v1/secrets/{name}/restore   RestoreRequest -> SetResult
//	POST   /v1/secrets/{name}/forget    -> Secret   (its former values)
//	POST   /v1/vault/passphrase    PassphraseRequest -> Status
//	POST   /v1/vault/rollback      -> Rollback
//	POST   /v1/sync                SyncRequest -> SyncResult
//	POST   /v1/store/move          MoveRequest -> Status   (ends the agent)
//	POST   /v1/found               Found -> {}
//	GET    /v1/audit/head          -> AuditHead
//	POST   /v1/audit/accept        -> AuditHead
//	POST   /v1/get                 GetRequest -> GetResult
//	POST   /v1/allow               AllowRequest -> Allowed
//	POST   /v1/deny                AllowRequest -> Allowed   (takes an approval back)
//	GET    /v1/allowed             -> []Allowed
//	POST   /v1/rules               Rule -> Rule              (allows or denies one name)
//	GET    /v1/rules               -> []Rule
//	POST   /v1/explain             ExplainRequest -> Explanation
//	POST   /v1/revoke              RevokeRequest -> []Rule   (what was taken back)
//	POST   /v1/lock                -> Status
//	POST   /v1/unlock              UnlockRequest -> Status
//	POST   /v1/stop                -> Status
//
// A response other than 2xx has an Error as its body.
package api

import "time"

// Version is the version of this protocol. An agent serves every version up
// to its own; a client that is newer than its agent says so and asks for a restart.
const Version = 4

// Limits of what either side reads from the other, in bytes.
const (
	MaxValue = 1 << 20 // one secret's value
	MaxBody  = 4 << 20 // one JSON body
	MaxFrame = 4 << 20 // one frame of the stream, payload and op together
)

// Code is the class of an Error; programs decide on it and never on the text.
type Code string

// The codes. CodeAway never travels: a client makes it when there is no agent to ask.
const (
	CodeAway     Code = "away"
	CodeLocked   Code = "locked"
	CodeDenied   Code = "denied"
	CodeConsent  Code = "consent" // the user may be asked; only a hook of version 3 and later meets it
	CodeNotFound Code = "not-found"
	CodeBadInput Code = "bad-input"
	CodeStore    Code = "store"   // keyring or vault failed
	CodeVersion  Code = "version" // the two sides speak different versions
	CodeInternal Code = "internal"
	CodeProvider Code = "provider" // where the value comes from did not give it
	CodeWait     Code = "wait"     // a provider is being asked; on a stream: ask again with POST /v1/get
)

// Error is what went wrong, to what, and what mends it. It never holds a value.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Mend    string `json:"hint,omitempty"`
	Name    string `json:"name,omitempty"` // of the secret, as it was asked for, where the code is CodeConsent
	// Profile is the one that is on, where the code is CodeConsent. Session says that a yes for
	// the kernel is one to all that the project lists in that profile.
	Profile string `json:"profile,omitempty"`
	Session bool   `json:"session,omitempty"`
}

func (e *Error) Error() string { return e.Message }

// Hint returns what the user can do about it, or "".
func (e *Error) Hint() string { return e.Mend }

// Is makes errors.Is(err, &Error{Code: c}) a test of the code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Status is the state of the agent.
type Status struct {
	API     int       `json:"api"`
	Version string    `json:"version"` // of the program
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Locked  bool      `json:"locked"`
	Store   string    `json:"store"`            // keyring or vault
	Secrets int       `json:"secrets"`          // names in the index
	Known   int       `json:"known"`            // values that the match set holds
	Kernels int       `json:"kernels"`          // registered hooks
	Detail  string    `json:"detail,omitempty"` // why locked, or what the store said
}

// Secret is what a listing says of a secret.
type Secret struct {
	Name    string    `json:"name"`
	Store   string    `json:"store"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	Warning string    `json:"warning,omitempty"` // such as: too short to be matched
	Expires time.Time `json:"expires,omitzero"`
}

// SetResult is the answer to a PUT.
type SetResult struct {
	Secret
	Replaced bool `json:"replaced"`
}

// GetRequest asks for values. All asks for every name that Dir's nbhush.toml
// lists, which is what run does; it must be approved, also for the owner. Who is
// a kernel's child gets what the nbhush.toml of its kernel's directory allows,
// whatever Dir says.
type GetRequest struct {
	Names []string `json:"names"`
	All   bool     `json:"all,omitempty"`
	Dir   string   `json:"dir"`

	Profile string `json:"profile,omitempty"`     // the profile that is wanted
	Env     string `json:"profile_env,omitempty"` // NBHUSH_PROFILE, which counts less, and only in projects with profiles
}

// GetResult holds the values by name. It is only ever made for the wire:
// clients move the bytes into secret.Value at once.
type GetResult struct {
	Values  map[string][]byte    `json:"values"`
	Expires map[string]time.Time `json:"expires,omitempty"` // of those that will
	Profile Profile              `json:"profile,omitzero"`  // that was on
}

// AllowRequest names an nbhush.toml by its absolute path, and the SHA-256 (hex)
// of the content that the user has seen.
type AllowRequest struct {
	Path string `json:"path"`
	Hash string `json:"hash"`
}

// Allowed is one approved nbhush.toml.
type Allowed struct {
	Path  string    `json:"path"`
	Hash  string    `json:"hash"`
	Since time.Time `json:"since"`
	Names []string  `json:"names"`
}

// Rule is what the user said of one name beside any nbhush.toml. A grant is for a
// notebook, by its absolute path, or for one kernel, which only an answer in
// that kernel can make; a denial without a notebook is for all kernels. A grant
// without a name is for all that the project lists in the profile.
type Rule struct {
	Name     string    `json:"name"`
	Deny     bool      `json:"deny,omitempty"`
	Profile  string    `json:"profile,omitempty"`
	Once     bool      `json:"once,omitempty"` // for one get
	Notebook string    `json:"notebook,omitempty"`
	Kernel   int       `json:"kernel,omitempty"` // PID of its hook
	Since    time.Time `json:"since,omitzero"`
	Until    time.Time `json:"until,omitzero"` // zero: for ever
}

// RevokeRequest takes back what was granted of a name, or denied if Deny is set:
// for one notebook and its kernels, or everywhere if Notebook is empty. Without a
// name it takes back what was granted of the profile.
type RevokeRequest struct {
	Name     string `json:"name"`
	Deny     bool   `json:"deny,omitempty"`
	Notebook string `json:"notebook,omitempty"`
	Profile  string `json:"profile,omitempty"` // "": of every profile
}

// UnlockRequest carries the vault's passphrase, empty where none is needed.
type UnlockRequest struct {
	Passphrase []byte `json:"passphrase,omitempty"`
}
