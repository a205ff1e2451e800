// Package attach gives secrets to kernels that already run and that nbhush did
// not start, as a client of theirs.
//
//	Jupyter's runtime directory                   nbhush inject NAME…
//	  kernel-ID.json ── Places.Kernels ── who answers? ──┐
//	  jpserver-*.json ── which notebook is whose? ───────┤
//	                                                     ▼
//	   the kernel <── silent execute: endpoint, token, names ── Client
//	       │                                             │ starts
//	       └── get(NAME) ── endpoint ── Serve <──────────┘
//	                                      │ registered as the kernel's
//	                                      └── the agent: policy, audit
//
//	   the kernel <── silent execute: ask nbhush follow ── Serve <── the agent's epoch file
//
// The code that the kernel executes holds names, an endpoint that only this
// user can reach, and its token, and never a value. Serve ends with the kernel.
//
// No message of such a kernel passes through nbhush: its output is shown as it is.
//
// What holds, whatever is in the runtime directory: a file that means no kernel,
// or one that has ended, costs at most a deadline; nothing is sent to who does
// not answer a heartbeat; a kernel that is behind nbhush already is left alone.
package attach
