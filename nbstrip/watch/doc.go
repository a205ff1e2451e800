// Package watch strips notebooks when they are saved, for editors that have no
// hook before a save.
//
//	fsnotify ──events──┐                     stable for Debounce?
//	                   ├──> pending ── due ──> nbstrip.StripFile ──> OnStrip
//	walk (Poll) ───────┘       ^                  │
//	                           └── later ─────────┴── changed meanwhile, half-written, or
//	                                                  nothing can be found: agent locked or away
//
// A notebook is looked at once nothing has happened to it for Debounce, and
// written only if it is still the file that was read (savefile.Swap). Its own
// write is an event like any other: the second look finds nothing, so it ends there.
//
// Folders called .git, node_modules and the like and Python environments are left
// out; .ipynb_checkpoints are not, since they hold copies. Symbolic links are not followed: what they point to is somebody
// else's to watch.
package watch
