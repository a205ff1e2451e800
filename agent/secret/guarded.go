//go:build !goexperiment.runtimesecret

package secret

// Do runs f, which handles values.
func Do(f func()) { f() }
