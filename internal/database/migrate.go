package database

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Migrations is one numbered, forward-only set of SQL files. Each set counts its versions in a table of its own, so that the
// tables a capability brings (outbox, steps, inbox) and those of the service move on independently in the same database.
type Migrations struct {
	Set   string
	Files fs.FS
}

// Embedded is the set whose files are in the folder "migrations" of what a package embeds.
func Embedded(set string, files embed.FS) Migrations {
	folder, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // only for a folder name that is no path
	}
	return Migrations{Set: set, Files: folder}
}

// Migrate applies what is missing of every set, in the order given. It is safe from several processes at once.
func (db *DB) Migrate(ctx context.Context, sets ...Migrations) (err error) {
	release, err := db.lockMigrations(ctx)
	if err != nil {
		return fmt.Errorf("migrate database %s: %w", db.name, err)
	}
	defer release()
	pool := db.write.DB
	if db.rawURL != "" {
		// A table that others use is waited for: it is locked in turn, and they wait behind us.
		if pool, err = PostgresPool(db.rawURL); err != nil {
			return openError(db.name, db.rawURL, err)
		}
		defer func() { err = errors.Join(err, pool.Close()) }()
	}
	for _, set := range sets {
		provider, err := db.provider(pool, set)
		if err != nil {
			return fmt.Errorf("migrate database %s, set %s: %w", db.name, set.Set, err)
		}
		if _, err := provider.Up(ctx); err != nil {
			return fmt.Errorf("migrate database %s, set %s: %w", db.name, set.Set, explained(err))
		}
	}
	return nil
}

// Pending names the first set that lacks a migration, or is empty when the schema is current, or newer: old code runs beside new
// code during an upgrade. It changes nothing.
func (db *DB) Pending(ctx context.Context, sets ...Migrations) (string, error) {
	for _, set := range sets {
		// Asked first, because goose makes the table where it is missing.
		exists, err := db.hasTable(ctx, versionTable(set))
		if err != nil {
			return "", fmt.Errorf("look for the schema version of database %s: %w", db.name, explained(err))
		}
		if !exists {
			return set.Set, nil
		}
		provider, err := db.provider(db.write.DB, set)
		if err != nil {
			return "", err
		}
		pending, err := provider.HasPending(ctx)
		if err != nil {
			return "", fmt.Errorf("read the schema version of database %s, set %s: %w", db.name, set.Set, explained(err))
		}
		if pending {
			return set.Set, nil
		}
	}
	return "", nil
}

func versionTable(set Migrations) string { return "schema_" + set.Set }

func (db *DB) provider(pool *sql.DB, set Migrations) (*goose.Provider, error) {
	options := []goose.ProviderOption{
		goose.WithTableName(versionTable(set)),
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)),
	}
	if db.engine == SQLite {
		return goose.NewProvider(goose.DialectSQLite3, pool, set.Files, options...)
	}
	// Asked for every second: goose's own five would make each of several processes that start together wait for five.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, pool, set.Files, append(options, goose.WithSessionLocker(locker))...)
}
