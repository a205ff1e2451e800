//go:build goexperiment.runtimesecret

package agent

import "runtime/secret"

// guarded runs f, which handles values: the registers and the stack that it
// used are erased when it returns, and the memory that it allocated as soon as
// nothing refers to it.
func guarded(f func()) { secret.Do(f) }
