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
package proxy
