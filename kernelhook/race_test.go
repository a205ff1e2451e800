//go:build race

package kernelhook

const raceEnabled = true
