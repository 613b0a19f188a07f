package node

import (
	"context"
	"errors"
	"log/slog"

	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/node/temporal"
)

// Migrate makes the databases and brings them up to date, adds the products, and prepares the namespace of an external Temporal.
func Migrate(ctx context.Context, cfg config.Config, say func(string)) error {
	if _, err := Products(cfg); err != nil {
		return err // before anything is changed
	}
	s := newStack(cfg, nil, true, slog.New(slog.DiscardHandler), say)
	for _, service := range Services {
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
