// Package kernelspec puts nbhush before the argv of Jupyter's kernels, in the
// two ways that Jupyter has, and takes it away again to the byte.
//
//	nbhush jupyter enable                        nbhush kernels enable [NAME…]
//	        │                                            │
//	        ├─ FOLDER/nbhush_jupyter/…                   ├─ …/kernels/NAME/kernel.json
//	        │  FOLDER/nbhush_jupyter-V.dist-info/…       │    argv spliced, env says its name, all else as it was
//	        └─ marked block in jupyter_config.py         └─ …/kernels/NAME/kernel.json.nbhush-SUM
//	                │                                         the original, for disable
//	                ▼                                            ▼
//	   every kernel of every Jupyter application     what reads no Jupyter configuration:
//	   that reads the user's configuration           nbclient, papermill, VS Code, Positron, Zed
//	                └───────────────┬────────────────────────────┘
//	                                ▼
//	          nbhush kernel -f CONNECTION_FILE -- ARGV…      (once, never twice)
//
// The provisioner is the process's default, not a configured one: any default
// that somebody else chose, in a file of any level, in the environment or on the
// command line, wins. A kernel that Jupyter gave keys for an encrypted transport
// runs without nbhush, and so does every kernel whose nbhush is not there.
//
// Invariants: what enable changed, disable restores to the byte; what somebody
// else changed since then is kept and said so; no JSON is written again that
// was not ours; every write is a whole file or none (package savefile).
//
// The package starts no kernel and speaks to none. It runs one foreign program:
// the user's own Jupyter, to list its kernel specs.
package kernelspec
