// Package client asks the agent, and starts it where none runs.
//
//	Client ── HTTP/JSON, connections kept ─────┐
//	                                           ├── Unix socket ── agent
//	Stream ── frames, many at once in order ───┘
//
//	no answer ── start: "nbhush agent serve", detached ── wait for the socket, 5 s
//
// The zero Client finds the socket by the environment, as every part of nbhush
// does. Both ends check that the other is the same user. Errors are *api.Error:
// programs look at the Code, people read the message and the hint.
//
// A value goes from the connection into a secret.Value; buffers of this package
// that held it are cleared.
package client
