// Package kernelhook runs a Jupyter kernel with nbhush in the middle: the
// kernel has its secrets, and its clients never see a value.
//
//	Jupyter ── starts ──> Run ──────────── starts ──> the real kernel
//	            │          │                             │  NAME=value, NBHUSH_ENDPOINT, NBHUSH_TOKEN
//	  connection file      │   a connection file of its own: same key, ipc in a 0700 directory,
//	            │          │     or tcp for a kernel that knows no other (transport.go)
//	            │          │                             │
//	clients ────┴── proxy ────────── redact ─────────────┤  five channels
//	server's log <──────── redact.Copy ──────────────────┤  stdout, stderr
//	                       inject.Server <── get(NAME) ──┘
//	                            │
//	                            └── link ── Agent: policy, values, matching
//
// In front is what Jupyter's connection file says: TCP or ipc, IPv4 or IPv6, in
// plain or with CURVE. Behind it is always ipc in plain.
//
// On Linux another user of the machine is refused at the ports in front, unless
// CURVE keeps him out anyway (strangers).
//
// The kernel stays in the hook's process group, so that what Jupyter does to
// the group reaches it; it dies with the hook, and the hook ends as it ended.
// On Linux the hook adopts what the kernel leaves behind when it forks twice,
// so that every process of a kernel descends from its hook.
//
// What a user types into a password prompt is known to the hook (typed), and to
// nobody else; so is what was the value of a secret when the kernel got it.
//
// Where policy leaves it to the user whether the kernel may have a value, the
// hook asks (consent), and tells the agent the answer:
//
//	cell: get(NAME) ──> agent: consent is needed ──> cell: consent(NAME) ──> hook
//	hook ── input_request ──> the client whose cell runs ── input_reply ──> hook ──> agent ──> value
//
// What a Python kernel holds by nbhush's doing follows the agent (python_refresh):
// before a cell it compares the number in the agent's epoch file with the last one.
//
// What cannot be searched because the agent is away is withheld, with a line
// that says so. Only a kernel that never got a value, and whose agent was never
// there, shows everything: there nbhush has not promised anything yet.
package kernelhook
