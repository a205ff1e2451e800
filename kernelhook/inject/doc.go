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
//	"nbhush/1" | token | "former" | name | value  "ok"   the same, for what was the value of name
//	"nbhush/1" | token | "consent" | name | cell  "ok" | value   after an error of the code "consent":
//	                                                     the user is asked, which may take minutes
//	"nbhush/1" | token | "refresh" | (name | SHA-256)…   "ok" | (name | "new" or "gone" | value)…
//	                                                     what has to change of what the kernel holds
//	                                            "error" | api.Error in JSON
//
// Language has the code by which kernels of other languages do the same, with
// nbhush get, when they cannot have it in their environment from the start.
//
// All names of one request are served or none. The kernel learns endpoint and
// token from NBHUSH_ENDPOINT and NBHUSH_TOKEN. This package keeps no value; the
// Python modules in bootstrap keep what they served, to know it in what trackers send.
//
// The Python modules, of which all but install are loaded when they are used:
//
//	python_install   makes the others found; the magics, and what asks at prompts
//	python           nbhush: get, env, names, Secret, the connection
//	python_ipython   %hush, %%hush, completion
//	python_prompts   which prompt names which secret; what was typed
//	python_refresh   new values for what the kernel holds, between cells
//	python_shims     Colab, Kaggle, Databricks, Fabric, Synapse, keyring
//	python_trackers  known values, taken out of what trackers send
//	python_wandb     where wandb sends and stores
//	python_mlflow    where mlflow does
package inject
