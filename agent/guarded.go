//go:build !goexperiment.runtimesecret

package agent

// guarded runs f, which handles values.
func guarded(f func()) { f() }
