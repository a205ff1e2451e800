// Package proxy stands between a kernel and its clients, on the five channels
// of Jupyter.
//
//	clients                       front                     back            kernel
//	DEALER ── shell   ──> Router ── gate ──────────────── Dealer ──> ROUTER
//	                             <────────── redact ───────        <──
//	DEALER ── control ──> Router ──────────────────────── Dealer ──> ROUTER
//	                             <────────── redact ───────        <──
//	DEALER ── stdin   ──> Router ──────────────────────── Dealer ──> ROUTER
//	                             <────────── redact ───────        <──
//	SUB    <─ iopub   ──  XPub   <── redact.Stage <─────── Sub    <── XPUB
//	REQ    ── hb      ──> Echo
//
// Both sides have the same key, so an unchanged message passes byte for byte.
// The routing id of a client travels as the first identity of its messages and
// comes back as the first one of the replies, and of the input_requests, that
// they lead to: nothing has to be remembered about who asked what, except for
// kernels that leave the identities out (askers). The three
// Dealers have one identity, since a kernel sends an input_request to the
// identity that a request on shell came from.
//
// The gate: the first messages to the kernel are the hook's own, a
// kernel_info_request and a silent execute_request; requests of clients on
// shell wait until they are answered and the kernel's iopub has been heard.
// What belongs to the hook's own messages reaches no client.
//
// # Questions
//
// Ask puts a question of the hook to the client whose cell runs, as an
// input_request of the same form as the kernel's. Cells remembers which requests
// to execute code have no reply yet, and who sent them. A client has one question
// at a time (turns), since many do not say in an input_reply what it answers:
//
//	kernel's input_request ──> held while the hook asks ──────────> client
//	Ask ──> waits while the client has a question of the kernel ──> client
//	client's input_reply ──┬─ to the hook's question: never reaches the kernel, also when it is late
//	                       └─ anything else ──> kernel
//
// A question is void when its cell has ended, however that came: an answer, an
// error, an interrupt.
package proxy
