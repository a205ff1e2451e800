// Package socket is the door of the agent: a Unix socket in a directory that
// is this user's alone, and the answer to who stands at the other end.
//
//	MkdirPrivate ── Listen ──┐                     ┌── Dial (refuses another user's listener)
//	  0700, own, no link     │  conn ───────────── │
//	                         └── PeerOf ── Peer{UID, PID} ── Ancestors ── []Process
//
// Nothing relies on one check alone: the directory keeps other users out, the
// mode of the socket does so again, and both ends ask the operating system who
// the other one is. What cannot be known is an error, never a guess.
//
// Peers: Linux SO_PEERCRED (unix(7)), Darwin LOCAL_PEERCRED and LOCAL_PEERPID
// (sys/un.h). Other systems have no peer and no ancestors: everybody is refused.
package socket
