// Package gitfilter is nbhush as a filter of git, so that what git stores of a
// notebook holds no secret, and the working copy stays as it is.
//
//	git add ──> pkt-lines ──> Filter.Process ── clean ──> nbstrip.Strip ── match.Finder
//	                              │                           │ error: nothing is known
//	                              │ smudge                    v
//	                     Filter.Restore, or               is this blob stored already? ── yes: pass it
//	                        byte for byte                does git only look at it?    ── yes: withhold it
//	                                                     else: refuse, so git add stores nothing
//
// Process speaks version 2 of the long-running filter process protocol
// (gitattributes(5), "Long Running Filter Process"); Clean is for one file.
// Textconv makes the text of a readable diff. Restore, where the user asked for
// it, puts values into what is checked out, and counts only if cleaning the
// result gives the stored bytes: a file that nobody touched is never shown as changed.
// Install, InstallHook, Uninstall and Inspect edit git's configuration and attributes.
//
// When a notebook cannot be checked, because the agent is locked or away or
// because it is broken and holds a secret, the filter's answer depends on what
// git is going to do, which it does not say: the command line of the git
// process does. Every command that is not known to store nothing counts as one
// that stores. To git status, diff and checkout such a notebook is a binary
// file with a line of explanation, never its unchecked content: patches of it
// would be applied to the index by other tools. That git knows it as changed
// is all that those commands need.
package gitfilter
