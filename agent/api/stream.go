package api

import "time"

// The stream, after the upgrade. Both sides write frames:
//
//	request   length (uint32, big endian, of what follows) | op (1 byte)     | payload
//	reply     length (uint32, big endian, of what follows) | status (1 byte) | payload
//
// Replies come in the order of the requests; a client may send several before
// it reads. A reply with status StatusError has an Error in JSON as payload. A
// frame longer than MaxFrame, or an unknown op, ends the connection.

// Op is the operation of a request frame.
type Op byte

// The operations.
const (
	// OpFind: the payload is text, the reply's payload a match.Result as AppendResult writes it.
	OpFind Op = 'F'
	// OpFindShared: as OpFind, but the text stands in the memory that came with the answer to a
	// request that had the header SharedHeader. The payload is its offset and its length there,
	// both uint32, big-endian.
	OpFindShared Op = 'M'
	// OpSearch: as OpFind, and what looks like a secret is found too. It takes longer by a factor of
	// tens, so that only who reads and writes notebooks asks for it.
	OpSearch Op = 'P'
	// OpKernel: the payload is a Kernel in JSON, the reply's a Grant in JSON. The kernel is known
	// until this connection ends. Only the hook itself may send it: the peer's pid is the kernel's.
	OpKernel Op = 'K'
	// OpGet: the payload is a name, the reply's the value's bytes. On a connection of a hook
	// (or of any process below it) the kernel's policy decides.
	OpGet Op = 'G'
	// OpAgain: the payload is an Again in JSON, the reply has none. Only a hook may send it.
	OpAgain Op = 'A'
	// OpNames: no payload; the reply's payload is a JSON list of the names that the asking kernel may have.
	OpNames Op = 'N'
	// OpConsent: the payload is a Consent in JSON, the reply's the value's bytes if the answer was a
	// yes. Only the hook of a kernel that runs in no other kernel may send it.
	OpConsent Op = 'C'
	// OpRefresh: the payload is a JSON list of Held, the reply's a Refreshed in JSON. Only a hook may
	// send it. Nothing that needs consent is asked for.
	OpRefresh Op = 'R'
	// OpFound: the payload is a JSON list of Found, the reply has none. Who sends it need not wait.
	OpFound Op = 'S'
	// OpProfile: no payload; the reply's payload is a Profile in JSON, that of the asking kernel.
	OpProfile Op = 'W'
	// OpRefused: the payload is a Refused in JSON, the reply has none. Only a hook may send it.
	OpRefused Op = 'D'
)

// Status of a reply frame.
const (
	StatusOK    byte = 0
	StatusError byte = 1
)

// Again says that a hook has answered for the agent: it served the value of a
// name that it had just got, Times more, within Lease and while the epoch was
// the same.
type Again struct {
	Name  string `json:"name"`
	Times int    `json:"times"`
}

// Refused says that a hook refused a request at its kernel's endpoint, for the
// audit log: whoever asked does not belong to the kernel. Or that it dropped a
// message of Jupyter's to the kernel.
type Refused struct {
	PID     int    `json:"pid,omitempty"` // of who asked, 0 where that is not known
	Why     string `json:"why"`
	Message bool   `json:"message,omitempty"` // of Jupyter's
}

// Consent is what the user answered when the hook asked whether its kernel may
// have the value of a name.
type Consent struct {
	Name   string `json:"name"`
	Answer Answer `json:"answer"`
	Client int    `json:"client,omitempty"` // process of the client that answered, 0 where that is not known
}

// Answer is an answer to the question for consent.
type Answer string

// The answers. Whatever is none of the first three is a no.
const (
	AnswerOnce     Answer = "once"     // for the request that led to the question
	AnswerKernel   Answer = "kernel"   // until this kernel ends
	AnswerNotebook Answer = "notebook" // always, for this notebook
	AnswerNo       Answer = "no"
	AnswerLate     Answer = "late"   // nobody answered in time, or the cell ended first
	AnswerNobody   Answer = "nobody" // there was nobody to ask
)

// Held is a value that a kernel has: by nbhush's doing it stands in its
// environment or in a variable.
type Held struct {
	Name string `json:"name"`
	Sum  []byte `json:"sum"` // SHA-256 of the value
}

// Refreshed says what has to change in a kernel that holds values: what is in
// neither list stays as it is.
type Refreshed struct {
	New  map[string][]byte `json:"new,omitempty"`
	Gone []string          `json:"gone,omitempty"` // may not be kept
}

// Lease is the time for which a hook may serve a value again that it got for its
// kernel, as long as the agent's epoch is the same. What does not pass through
// the agent, such as an edit of nbhush.toml, is noticed when it ends.
const Lease = time.Second

// EpochFile is the name, beside the socket, of a file of eight bytes. They change
// before the agent says that anything changed which a grant depends on: a value,
// an approval, the lock, the agent itself.
const EpochFile = "epoch"

// Kernel is what a hook says of the kernel that it is about to start.
type Kernel struct {
	API      int    `json:"api"`
	Dir      string `json:"dir"`                // working directory of the kernel, absolute
	Notebook string `json:"notebook,omitempty"` // JPY_SESSION_NAME, if it is a path; not to be believed for policy
	Argv0    string `json:"argv0"`              // the real kernel's program, for the audit
	Profile  string `json:"profile,omitempty"`  // NBHUSH_PROFILE, or what the kernel was told before
	Spec     string `json:"spec,omitempty"`     // name of the kernelspec, as far as that is known; a rule never gives more for it
	Language string `json:"language,omitempty"` // the same

	// Attached says that the kernel runs already, below somebody else than the peer, which asks on
	// its behalf. PID is its process, 0 if that is not known: with what descends from it, it is that kernel.
	Attached bool `json:"attached,omitempty"`
	PID      int  `json:"pid,omitempty"`
}

// Grant is the agent's answer: what this kernel may have now.
type Grant struct {
	ID     string            `json:"id"`               // for the audit
	Config string            `json:"config,omitempty"` // path of the nbhush.toml that counted, if any
	Values map[string][]byte `json:"values,omitempty"` // for the kernel's environment
	Notice *Error            `json:"notice,omitempty"` // why there are no values although nbhush.toml asks for some
	// Notebook is the path under which the agent knows the notebook, "" where grants for a notebook do not count.
	Notebook string `json:"notebook,omitempty"`
	Profile  string `json:"profile,omitempty"` // that is on
}
