// Nobody needs to look, in a thread of its own, whether the processors become more.
//
//go:debug updatemaxprocs=0

// Command nbhush-outputs is nbstripout for one notebook, with no more to start
// than that takes. A link to it may be called nbstripout.
//
//	stdin ── outputs.Strip ──▶ stdout       no arguments, and no keys in git's configuration
//	anything else ── exec ──▶ nbhush nbstripout ARGUMENTS, which lies beside it
//
// Git's older way starts the filter once for each file. All of nbhush takes
// 2 ms of CPU before it does anything, its packages' tables; what a notebook
// takes is a hundredth of that. So this program imports nothing of the standard
// library that opens files, formats text or reflects: no os and no fmt, and a
// test holds the list. What it does is outputs.Strip, the same as nbhush's.
//
// It is quick on Linux; elsewhere it always runs nbhush.
package main

func main() { exit(run()) }
