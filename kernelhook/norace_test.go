//go:build !race

package kernelhook

const raceEnabled = false
