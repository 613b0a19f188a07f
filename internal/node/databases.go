package node

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/node/lifecycle"
)

// opening is how a database is opened.
type opening struct {
	// make has it made where it is missing, and migrated; else an older schema is refused, and a newer one is not.
	make bool
	// wait waits for a server that is not up yet; else it is gone on without.
	wait bool
}

// openDatabase opens a service's database; there is false where that was gone on without. Every error names the variable and the remedy.
func openDatabase(ctx context.Context, c config.Config, service string, how opening, say func(string)) (db *database.DB, there bool, err error) {
	setting := c.DatabaseSetting(service)
	at, err := c.DatabaseOf(service)
	if err != nil {
		return nil, false, fmt.Errorf("%s is malformed: the URL can't be read", setting)
	}
	what := "the " + service + " database (" + setting + ")"
	open := func(ctx context.Context) (err error) {
		db, err = database.Open(ctx, service, at)
		if how.make && c.DatabaseURL != "" && errors.Is(err, database.ErrNoDatabase) {
			// Only now: a login that may use its database need not be let into the server's own.
			if err = database.EnsureFor(ctx, c.DatabaseURL, at); err == nil {
				db, err = database.Open(ctx, service, at)
			}
		}
		return err
	}
	if how.wait {
		err = lifecycle.WaitFor(ctx, say, what, open)
	} else if err = lifecycle.Briefly(ctx, open); fault.KindOf(err) == fault.Unavailable && ctx.Err() == nil {
		say("Going on without " + what + " until it is there: " + err.Error())
		db, err = database.Later(service, at)
		return db, false, err
	}
	if err == nil && how.make {
		err = db.Migrate(ctx, schemas[service]()...)
	} else if err == nil {
		err = checkSchema(ctx, db, schemas[service]())
	}
	if err == nil {
		return db, true, nil
	}
	if db != nil {
		_ = db.Close()
	}
	return nil, false, fmt.Errorf("%s: %w", setting, err)
}

// lookAtSchemaOnce asks a database that came later whether it is ready: for the first time as those are that were there from the start.
func lookAtSchemaOnce(db *database.DB, sets []database.Migrations) func(ctx context.Context) error {
	var fine atomic.Bool
	return func(ctx context.Context) error {
		if fine.Load() {
			return db.Ping(ctx)
		}
		err := checkSchema(ctx, db, sets)
		fine.Store(err == nil)
		return err
	}
}

func checkSchema(ctx context.Context, db *database.DB, sets []database.Migrations) error {
	set, err := db.Pending(ctx, sets...)
	if err != nil {
		return err
	}
	if set != "" {
		return fmt.Errorf("the %s database has an older schema (its %s tables): run orderly migrate", db.Name(), set)
	}
	table, err := db.ForbiddenTable(ctx)
	if err == nil && table != "" {
		err = fmt.Errorf("the login may not read and change table %s of the %s database: grant it SELECT, INSERT, UPDATE and DELETE, "+
			"or use the login that ran orderly migrate", table, db.Name())
	}
	return err
}
