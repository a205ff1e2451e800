// Package zsock holds the ZeroMQ sockets that Jupyter clients connect to, and
// the two that the hook uses towards its own kernel.
//
//	clients                      this process                        kernel
//	DEALER, REQ ──> Router ──> Recv ─┐              ┌─ Send ──> Dealer ──> ROUTER
//	            <──        <── Send ─┤  the caller  ├─ Recv <──        <──
//	SUB, XSUB   ──> XPub ──> Subscriptions          │
//	            <──      <── Send, SendTo ──────────┴─ Recv <── Sub    <── XPUB
//	REQ         <─> Echo
//
// One connection, inside:
//
//	socket ── read, 64 KiB ──> reader: header, commands, frames ──> inbox ──> Recv
//	       <── writev, not blocking ── Send, when nothing is queued
//	       <── writev ── writer <── queue, capped in bytes <── Send, otherwise
//
// The protocol is ZMTP 3.1, RFC 37 of zeromq, which includes ZMTP 3.0, RFC 23;
// older peers are refused. The mechanism is NULL or, with Options.Curve, CURVE,
// RFC 25 and 26:
//
//	client ── HELLO: public key C', proof that S is known ──────> server, keys S, s
//	       <── WELCOME: public key S', cookie (C' and s') ─────── forgets C', s'
//	       ── INITIATE: cookie, client's key C, vouch, metadata ─> opens its cookie
//	       <── READY: metadata ──────────────────────────────────
//	       <── MESSAGE: nonce, box of one frame or command ─────>
//
// What holds, whatever the other side of a connection does:
//
//   - Send on a Router or XPub and the accept loop never wait for a peer.
//   - Malformed input closes the connection that it came on, and no other.
//   - Memory follows the bytes that have arrived, not the sizes that were
//     claimed, and until [Router.Trust] is capped at Options.MaxUntrusted for each peer.
//   - Under CURVE nothing is taken that was not sealed on this connection, in this
//     order; before its INITIATE a client gets one WELCOME, and no word on what was
//     wrong. Long-term keys are kept, those of a connection are wiped at its end.
//   - A connection has its reader and, while something is queued, its writer;
//     Close ends both and returns after they have ended.
//
// Who owns the bytes: the frames of a received [Message] are the caller's until
// it calls Release; Release is optional and gives the memory back for the next
// message. Send reads frames before it returns and copies what it must queue,
// except frames of 1 MiB and more, which it keeps: those must not be changed
// after Send. The frames of a Message can be sent on and then released.
//
// The package knows nothing of Jupyter's messages and does not reconnect.
package zsock
