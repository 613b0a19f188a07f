package node

import (
	"context"
	"errors"
	"log/slog"

	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/node/temporal"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/system"
)

// Migrate makes the databases and brings them up to date, writes into each to which system they belong, adds the products, and prepares and
// claims the namespace of an external Temporal.
func Migrate(ctx context.Context, cfg config.Config, say func(line string)) error {
	for _, note := range cfg.Notes {
		say(note)
	}
	if _, err := Products(cfg); err != nil {
		return err // before anything is changed
	}
	id, err := migrateDatabases(ctx, cfg, say)
	if err != nil || cfg.TemporalAddress == "" {
		return err
	}
	return migrateTemporal(ctx, cfg, id, say)
}

// migrateDatabases returns the system that the databases belong to.
func migrateDatabases(ctx context.Context, cfg config.Config, say func(line string)) (id system.ID, err error) {
	through, cfg := cfg, cfg.Direct()
	p := newProcess(cfg, true, slog.New(slog.DiscardHandler), say)
	defer func() { err = errors.Join(err, p.closers.Close()) }()
	stores := map[string]*store{}
	for _, s := range Services {
		if stores[s.Name], err = openStore(ctx, p, s, true); err != nil {
			return "", err
		}
		past := ""
		if setting := cfg.DatabaseSetting(s.Name); setting != through.DatabaseSetting(s.Name) {
			past = " (past the pooler: " + setting + ")"
		}
		say("The " + s.Name + " database is up to date" + past + ".")
	}
	if id, err = identify(ctx, p, Services, stores); err != nil {
		return "", err
	}
	return id, addProducts(ctx, cfg, orders.New(stores["orders"].box, p.metrics), inventory.New(stores["inventory"].box), say)
}

// migrateTemporal prepares the namespace, as PrepareNamespace does, and claims it for the system.
func migrateTemporal(ctx context.Context, cfg config.Config, id system.ID, say func(line string)) error {
	options, err := temporal.Options(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	c, err := temporal.Dial(ctx, options, say)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := temporal.PrepareNamespace(ctx, c, options.Namespace, cfg.TemporalRetention, say); err != nil {
		return err
	}
	return temporal.ClaimNamespace(ctx, c, options, id, say)
}
