// Package wire holds Jupyter messages as they travel over ZeroMQ: frames that
// are looked at, and decoded only as far as somebody asks.
//
//	frames ── Parse ── Message ─┬─ Identities | <IDS|MSG> | Signature | Header | Parent | Metadata | Content | Buffers…
//	                            ├─ Header, Parent ── ScanHeader ── msg_type, msg_id, session
//	                            └─ Signer: Verify, Sign (HMAC over header, parent, metadata, content)
//
// The authority is "Messaging in Jupyter", sections "The Wire Protocol" and
// "General Message Format" (protocol 5.4). A Message shares its bytes with the
// frames that it came from; nothing here changes or keeps them, so that what
// goes out unchanged is what came in, byte for byte.
package wire
