package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/node/temporal"
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
			cfg, err := config.FromEnvironment(services)
			if err != nil {
				return err
			}
			err = migrate(cmd.Context(), cfg, cmd.OutOrStdout())
			if err != nil && cmd.Context().Err() != nil {
				// Not a success: whoever waits for it starts the processes next.
				return errors.New("interrupted before everything was up to date: run orderly migrate again")
			}
			return err
		},
	}
}

func migrate(ctx context.Context, cfg config.Config, out io.Writer) error {
	say := func(line string) { _, _ = fmt.Fprintln(out, line) }
	if _, err := products(cfg); err != nil {
		return err // before anything is changed
	}
	s := newStack(cfg, nil, true, slog.New(slog.DiscardHandler), say)
	for _, service := range services {
		if _, err := s.database(ctx, service); err != nil {
			return errors.Join(err, s.close())
		}
		say("The " + service + " database is up to date.")
	}
	err := s.openOrders(ctx)
	if err == nil {
		err = s.openInventory(ctx)
	}
	if err == nil {
		err = s.seed(ctx)
	}
	if err := errors.Join(err, s.close()); err != nil || cfg.TemporalAddress == "" {
		return err
	}
	return migrateTemporal(ctx, cfg, say)
}

// migrateTemporal prepares the namespace. What a server does not permit is said, and is not an error: sagas run without.
func migrateTemporal(ctx context.Context, cfg config.Config, say func(string)) error {
	options, err := temporal.Options(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	c, err := temporal.Dial(ctx, options, say)
	if err != nil {
		return err
	}
	defer c.Close()
	return temporal.PrepareNamespace(ctx, c, options.Namespace, cfg.TemporalRetention, say)
}
