package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/orderly/internal/node"
)

func migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Make the databases and bring them up to date; prepare Temporal's namespace",
		Long: "Make the databases that are missing and bring every schema up to date, add the products of ORDERLY_PRODUCTS, and, where\n" +
			"TEMPORAL_ADDRESS is set, make the namespace and register the search attributes. Safe to repeat, from several processes at once,\n" +
			"and beside a running system.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := node.FromEnvironment()
			if err != nil {
				return err
			}
			say := func(line string) { _, _ = fmt.Fprintln(cmd.OutOrStdout(), line) }
			err = node.Migrate(cmd.Context(), cfg, say)
			if err != nil && cmd.Context().Err() != nil {
				// An exit code of 0 would let a deployment start the processes on databases that are not migrated.
				return errors.New("interrupted before everything was up to date: run orderly migrate again")
			}
			return err
		},
	}
}
