// Package shared is memory that two processes see, so that a long text need not
// go through a socket: the hook decodes it there, the agent searches it there.
//
//	agent: New ── Send ── unix socket ── Receiver ── Open :hook
//	          \__________ the same pages __________/
//
// Whoever makes a Region seals its size, so that the other side cannot take
// pages away from under a reader, which would end it with SIGBUS. What the bytes
// are can change at any time: the reader must be safe for that, and believes
// nothing that it read before.
//
// Linux only, memfd_create(2); elsewhere New returns errors.ErrUnsupported and
// texts go through the socket.
package shared
