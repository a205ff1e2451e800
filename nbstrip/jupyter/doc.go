// Package jupyter strips notebooks before Jupyter saves them. It puts a Jupyter
// server extension, a Python module of the standard library alone, into the
// user's Jupyter, and takes it away again to the byte.
//
//	JupyterLab, jupyter-collaboration, an upload, the text editor
//	        │ contents_manager.save(model, path)      (any contents manager, async or not)
//	        ▼
//	    guard.py ── a notebook's model ── notebook.py: its texts ── agent.py ──> agent
//	        │                                   ▲                                  │
//	        │                                   └──── spans: edits in place <──────┘
//	        ├─ .ipynb as text or base64 ──> nbhush strip -       (exact to the byte)
//	        ├─ the last chunk of an upload, a checkpoint restored ──> nbhush strip FILE
//	        ▼
//	    the manager's own save, whatever happened before
//
// Invariants: a save is never lost and never refused; a save never waits longer
// than 200 ms for an agent that does not answer, and after that not at all until
// a thread has seen it answer; Python holds no value and matches none; what is
// not a secret stays as it was. What was saved unchecked is said in the server's
// log, once, with the command that mends it.
package jupyter
