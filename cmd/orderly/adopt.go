package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"example.com/orderly/internal/node"
)

func adoptCommand() *cobra.Command {
	var o node.AdoptOptions
	command := &cobra.Command{
		Use:   "adopt",
		Short: "Show which system everything serves; make what served a system that is lost serve this one",
		Long: "Show to which system the databases belong, and which one Temporal's namespace and the prefixes in RabbitMQ and Redis serve. With\n" +
			"--give-up, what serves the system of that id serves this one from then on. That is for a system whose databases were lost or\n" +
			"replaced: nothing is changed while its processes are seen, or while sagas are open whose orders are not in the databases. No\n" +
			"database is ever changed.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := node.FromEnvironment()
			if err != nil {
				return err
			}
			o.Say = func(line string) { _, _ = fmt.Fprintln(cmd.OutOrStdout(), line) }
			return node.Adopt(cmd.Context(), cfg, o)
		},
	}
	command.Flags().StringVar(&o.GiveUp, "give-up", "", "the id of the system that is no more")
	command.Flags().BoolVar(&o.EndSagas, "end-sagas", false, "with --give-up: terminate the open sagas of orders that are not in the orders database")
	return command
}
