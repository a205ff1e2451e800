// Command nbhush-providers holds the official SDKs of the clouds, so that nbhush
// itself need not. The agent starts it when a reference needs one; the two
// speak the provider protocol, which package provider describes.
//
//	agent ── questions ──▶ nbhush-providers ── SDK ──▶ AWS, Google Cloud, Azure
//	      ◀── answers ────
//
// A user has no reason to call it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/nbhush/nbhush/agent/provider"
)

func main() {
	if err := provider.Serve(context.Background(), os.Stdin, os.Stdout, providers(net{})); err != nil {
		fmt.Fprintln(os.Stderr, "nbhush-providers: error:", err)
		os.Exit(1)
	}
}

// providers are all of this program; they reach servers through n.
func providers(n net) map[string]provider.Provider {
	ca := os.Getenv("AWS_CA_BUNDLE")
	_ = os.Unsetenv("AWS_CA_BUNDLE") // the SDK gives it to no client but its own, and fails
	return map[string]provider.Provider{
		"aws-sm":  &aws{net: n, ca: ca, read: readSecret},
		"aws-ssm": &aws{net: n, ca: ca, read: readParameter},
		"gcp":     gcp{n},
		"azure":   azure{n},
	}
}
