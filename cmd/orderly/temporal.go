package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"example.com/orderly/internal/embedded"
)

func temporalCommand() *cobra.Command {
	get := &cobra.Command{
		Use:   "get",
		Short: "Find the Temporal CLI, or fetch it beforehand; prints its path",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := embedded.TemporalCLI(cmd.Context(), embedded.CLIOptions{
				Say: func(line string) { _, _ = fmt.Fprintln(cmd.ErrOrStderr(), line) },
			})
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), path)
			}
			return err
		},
	}
	command := &cobra.Command{Use: "temporal", Short: "The Temporal server that dev runs"}
	command.AddCommand(get)
	return command
}
