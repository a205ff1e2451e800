// Package startup puts a file into the folder of IPython's startup files, so that
// nbhush is there in sessions that nothing else reaches: plain ipython, and
// kernels that VS Code starts by itself.
//
//	nbhush ipython enable ──> IPYTHONDIR/profile_default/startup/00-nbhush.py
//	                                        │ at each start: a finder, a magic
//	           cell: import nbhush, %hush ──┘
//	                        │ first use
//	                        └─ starts ─> nbhush attach --until-eof
//	                                        ├─ endpoint, token, code ──> the session
//	                                        └─ ends with the session; the agent: policy, audit
//
// A session behind nbhush, and one whose nbhush has gone, does nothing. The file
// loads nothing that is not loaded, so a start costs well under a millisecond.
//
// Invariants: a file that is not ours is not touched; what Enable made, Disable
// removes, folders included, and nothing else.
package startup
