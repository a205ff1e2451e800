// Package agent is the daemon that keeps the values of secrets. It is the only
// process that does, and resolve is the only place where policy, store and audit
// meet: nothing else takes a value out of a store to hand it on.
//
//	         socket ── peer's uid ── Origin, Host ── route table ──┐
//	(agent/socket)     (or closed)   (or 403)          server.go   │
//	                                                               │  session: the agent as one
//	             after Upgrade: frames ─────────────── stream.go ──┤  connection may use it
//	                                                               │
//	   kernels.go: who asks, an owner or a kernel? ────────────────┤
//	                                                               ▼
//	                        policy.Decide ── resolve ── audit.Append      agent.go
//	                                            │
//	                        store.Get ── values.go: cache, known-value set ── Find
//
// # Owners and kernels
//
// A hook registers its kernel with OpKernel on a stream; the registration lasts
// as long as that connection. A peer that is a registered hook or has one among
// its ancestors is that kernel, on whatever connection it asks: it gets the
// names of the approved nbhush.toml above the directory of its kernel, and it
// changes nothing. A kernel inside a kernel gets what both may have. Everybody
// else of the same user is the owner. The ancestors are those at the time of
// the connection; a process that leaves its hook's tree on purpose (a double
// fork, a user service) is not found, as SECURITY.md says of code that means
// harm under the user's own account.
//
// # Consent
//
// Where policy says neither yes nor no, the user may be asked: the hook of a
// kernel that runs in no other kernel gets api.CodeConsent for a name that is
// stored, asks, and sends the answer on the stream on which it registered
// (consent.go). A yes becomes a grant for the kernel, which is known by the
// process of its hook, or for the notebook; or it counts once. An answer from a
// client whose process belongs to a kernel, this or another one, is refused.
//
// In a project with profiles the first look at the approved nbhush.toml chooses the
// one of the session. Code may ask for a name in another one (api.JoinName); Decide
// judges the profile that is asked for. Explain builds the request of a kernel that
// does not run, and asks the same Decide.
//
// Hooks are remembered in a file, so that after a crash of the agent their
// kernels are still kernels before the hook has reconnected.
//
// # Known values
//
// All values of the store are read after the start and after unlock, in the
// background; Find waits until the set is whole, and fails if it cannot be. A
// value that was replaced or removed stays known while a kernel runs, which may
// still print it. A value is served from memory for two seconds after it was
// read, then read again, so that a change made by another program is seen; while
// somebody asks, all values are read again every minute. Nobody asks: no timer runs.
//
// # Leases
//
// A hook may serve a value again, to its own kernel, for api.Lease after it got
// it here, while the number in the file "epoch" beside the socket stays what it
// was: see epoch.go. It says afterwards how often it did, for the audit log.
//
// The same number tells kernels that what they hold may have changed. They ask
// with name and digest (Refresh): a new value goes to who may have it, and what
// was denied, revoked or removed is named as gone. Both are in the audit log. An
// edit of nbhush.toml that is not approved yet takes nothing away.
//
// # Providers
//
// What a running kernel has of a provider is asked for again from time to time,
// for fields of one document at once (follow.go), and a new value changes the
// number. It is kept, encrypted, for the agent after this one (served.go).
//
// # Lock
//
// Lock wipes the values, the set and the key of the vault. It is a state of
// this process: an agent started anew opens the store again, with no question
// where no passphrase wraps the vault and the keyring is open. The passphrase,
// not the lock, is what guards a store at rest.
//
// # Limits
//
// What the parsers of providers' answers and a garbage collector leave behind is
// there for a while, unless the program was built with
// GOEXPERIMENT=runtimesecret (package secret, Do). The process is not dumpable and leaves no core.
package agent
