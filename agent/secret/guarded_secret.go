//go:build goexperiment.runtimesecret

package secret

import "runtime/secret"

// Do runs f, which handles values: the registers and the stack that it used are
// erased when it returns, and the memory that it allocated as soon as nothing
// refers to it. What f starts on other goroutines needs a Do of its own.
func Do(f func()) { secret.Do(f) }
