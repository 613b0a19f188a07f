package main

import (
	"context"
	"fmt"
	"time"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
)

// tryFor bounds one attempt to reach something that may not be up yet.
const tryFor = 5 * time.Second

// openDatabase opens a service's database. With make it is made where it is missing and migrated; else an older schema is refused,
// and a newer one is not. A server that is not up yet is waited for; every other error names the variable and the remedy.
func (c config) openDatabase(ctx context.Context, service string, make bool, say func(string)) (db *database.DB, err error) {
	setting := c.databaseSetting(service)
	at, err := c.databaseURL(service)
	if err != nil {
		return nil, fmt.Errorf("%s is malformed: the URL can't be read", setting)
	}
	err = patiently(ctx, say, "the "+service+" database ("+setting+")", func(ctx context.Context) (err error) {
		if make && c.DatabaseURL != "" {
			if err := database.EnsureFor(ctx, c.DatabaseURL, at); err != nil {
				return err
			}
		}
		db, err = database.Open(ctx, service, at)
		return err
	})
	if err == nil && make {
		err = db.Migrate(ctx, schemas[service]()...)
	} else if err == nil {
		err = checkSchema(ctx, db, schemas[service]())
	}
	if err == nil {
		return db, nil
	}
	if db != nil {
		_ = db.Close()
	}
	return nil, fmt.Errorf("%s: %w", setting, err)
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

// patiently tries until it works, ctx ends, or the error is not one of something that may still come up. That it waits, and for
// what, is said once.
func patiently(ctx context.Context, say func(string), what string, try func(ctx context.Context) error) error {
	for told := false; ; told = true {
		once, cancel := context.WithTimeout(ctx, tryFor)
		err := try(once)
		cancel()
		if err == nil || ctx.Err() != nil || fault.KindOf(err) != fault.Unavailable {
			if err == nil && told {
				say("Found " + what + ".")
			}
			return err
		}
		if !told {
			say("Waiting for " + what + ": " + err.Error())
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
