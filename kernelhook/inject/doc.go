// Package inject answers the running cells of one kernel that ask for a secret
// by its name.
//
//	cell: nbhush.get("NAME") ── REQ ──┐
//	      nbhush get NAME    ── REQ ──┴─> Server (ROUTER, ipc in a 0700 directory)
//	                                        │ token, in constant time
//	                                        └─> Source ── the agent: policy, store, audit
//
// A request and its reply, after the empty frame that REQ sends and expects:
//
//	"nbhush/1" | token | "get"   | name…        "ok" | value…  in the order of the names
//	"nbhush/1" | token | "names"                "ok" | name…   that this kernel may have
//	"nbhush/1" | token | "know"  | value        "ok"     it is taken out of what this kernel shows
//	                                            "error" | api.Error in JSON
//
// All names of one request are served or none. The kernel learns endpoint and
// token from NBHUSH_ENDPOINT and NBHUSH_TOKEN. Neither this package nor the
// Python module in bootstrap keeps a value.
package inject
