// Package jupyter strips notebooks before Jupyter saves them. It puts a Jupyter
// server extension, a Python module of the standard library alone, into the
// user's Jupyter, and takes it away again to the byte.
//
//	JupyterLab, jupyter-collaboration, an upload, the text editor
//	        │ contents_manager.save(model, path)      (any contents manager)
//	        ▼
//	    guard.py ── a notebook's model ── notebook.py: its texts ── agent.py ──> agent
//	        │                                   ▲                                  │
//	        │                                   └──── spans: edits in place <──────┘
//	        ├─ .ipynb as text or base64 ──> nbhush strip -       (exact to the byte)
//	        ▼
//	    the manager's own save, whatever happened before
//	        │
//	        └─ behind the last chunk of an upload, or a checkpoint restored:
//	           manager.get, nbhush strip -, and saved again if that changed it
//
//	the answer to the save, with names ──> page/static/remoteEntry.js: a note in JupyterLab
//
// Invariants. A save is never lost and never refused. It never waits longer than
// 200 ms for an agent that does not answer, and after that not at all until a
// thread has seen it answer; of an asynchronous manager the server goes on
// meanwhile. Python holds no value and matches none. What is not a secret stays
// as it was. What was saved unchecked is said in the server's log, once, with
// the command that mends it.
//
// What only looks like a secret is asked for by another op, where the agent
// knows it (LOOKS in agent.py). That search is slow: large texts that were clean
// at an earlier save are not searched again. If something was found, nbhush strip
// decides in the notebook's folder, since it knows the exceptions; so it does for
// values where an nbhush.toml has rules for them.
package jupyter
