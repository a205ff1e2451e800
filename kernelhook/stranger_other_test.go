//go:build !linux

package kernelhook

func testDial(string, string) int { return 1 }
