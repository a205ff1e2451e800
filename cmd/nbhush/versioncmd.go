package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
)

func newVersionCmd(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version", Short: "print the version", Args: argRange(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return a.printJSON(struct {
					Version string `json:"version"`
					API     int    `json:"api"`
				}{version, api.Version})
			}
			a.printf("nbhush %s\n", version)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the version as JSON")
	return cmd
}

// plural returns n and the noun that fits it: 1 secret, 2 secrets.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
