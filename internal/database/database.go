// Package database opens a service's database and runs its transactions. A service owns one database: a PostgreSQL database
// or a SQLite file. The SQL is the same text for both; what differs between the engines is here, named for what it does.
package database

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/jmoiron/sqlx"

	"example.com/orderly/internal/sqlite"
)

// Engine is the database server behind a DB.
type Engine string

const (
	PostgreSQL Engine = "postgres"
	SQLite     Engine = "sqlite"
)

func init() {
	// sqlx does not know this driver's name and would leave the ? placeholders to guesswork.
	sqlx.BindDriver("sqlite", sqlx.QUESTION)
}

// DB is one service's database. Reads outside a transaction may run on another connection than writes.
type DB struct {
	name   string
	rawURL string // of PostgreSQL, with its password; empty where the pool is another's
	pooled bool   // each transaction may have another session
	engine Engine
	write  *sqlx.DB
	read   *sqlx.DB
	watch  *watch
	// patient holds one element while a transaction of this process waits for a lock for longer than lockTimeout.
	patient chan struct{}
	// What was asked of the server, for metrics.
	statements, transactions, retries atomic.Int64
}

// Open connects to the database at rawURL: postgres://... or sqlite:<path>; name is the service's, for errors and metrics.
// A SQLite file and its folder are made when missing; a PostgreSQL database must exist. Unavailable when the server does not answer;
// any other error won't go away by waiting. It names the database and the remedy, never the password. Callers close the DB with Close.
func Open(ctx context.Context, name, rawURL string) (*DB, error) {
	db, err := Later(name, rawURL)
	if err != nil {
		return nil, err
	}
	if err := db.read.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, openError(name, rawURL, err)
	}
	return db, nil
}

// Later is Open without asking whether the server is there: it connects when it is first used.
func Later(name, rawURL string) (*DB, error) {
	db := &DB{name: name, watch: newWatch(), patient: make(chan struct{}, 1)}
	var err error
	switch {
	case strings.HasPrefix(rawURL, "postgres://"), strings.HasPrefix(rawURL, "postgresql://"):
		db.engine = PostgreSQL
		err = db.openPostgres(rawURL)
	case strings.HasPrefix(rawURL, "sqlite:"):
		db.engine = SQLite
		err = db.openSQLite(strings.TrimPrefix(rawURL, "sqlite:"))
	default:
		err = errors.New("the URL must start with postgres:// or sqlite:")
	}
	if err != nil {
		_ = db.Close()
		return nil, openError(name, rawURL, err)
	}
	return db, nil
}

func openError(name, rawURL string, err error) error {
	return fmt.Errorf("open database %s at %s: %w", name, redacted(rawURL), explained(err))
}

func (db *DB) openPostgres(rawURL string) error {
	pool, byTx, err := postgresPool(rawURL, db.watch, append([]string{lockSetting}, settings...))
	if err != nil {
		return err
	}
	db.write = sqlx.NewDb(pool, "pgx")
	db.read = db.write
	db.rawURL, db.pooled = rawURL, byTx
	return nil
}

// Readers have a pool of their own and never wait for the one that writes (WAL).
func (db *DB) openSQLite(path string) error {
	pool, err := sqlitePool(path, db.watch)
	if err != nil {
		return err
	}
	db.write = sqlx.NewDb(pool, "sqlite")
	db.read = sqlx.NewDb(sqlite.Open(sqliteDSN(path)+"&_query_only=1", db.watch.saw), "sqlite")
	db.read.SetMaxOpenConns(maxOpen)
	db.read.SetMaxIdleConns(maxOpen)
	return nil
}

// Name is the service's name, as given to Open.
func (db *DB) Name() string { return db.name }

// Engine tells which server is behind the DB.
func (db *DB) Engine() Engine { return db.engine }

// Statements is how many SQL statements this DB has run since it was opened.
func (db *DB) Statements() int64 { return db.statements.Load() }

// Transactions is how many transactions it has begun, single statements that change something among them.
func (db *DB) Transactions() int64 { return db.transactions.Load() }

// Retries is how many transactions and statements were run again: after a deadlock, a serialization failure, or on a connection that was of no
// use any more.
func (db *DB) Retries() int64 { return db.retries.Load() }

// Ping asks for a working connection; Unavailable when there is none. It does not queue behind SQLite's one writer.
func (db *DB) Ping(ctx context.Context) error {
	return classify(db.read.PingContext(ctx))
}

// Close closes the pools; safe to call twice.
func (db *DB) Close() error {
	var errs []error
	if db.write != nil {
		errs = append(errs, db.write.Close())
	}
	if db.read != nil && db.read != db.write {
		errs = append(errs, db.read.Close())
	}
	return errors.Join(errs...)
}

// Get reads one row into dest; sql.ErrNoRows when there is none.
func (db *DB) Get(ctx context.Context, dest any, query string, args ...any) error {
	return db.reading(ctx, func(ctx context.Context, on runner) error {
		return on.GetContext(ctx, dest, db.read.Rebind(query), args...)
	})
}

// Select reads all rows into the slice dest points to.
func (db *DB) Select(ctx context.Context, dest any, query string, args ...any) error {
	return db.reading(ctx, func(ctx context.Context, on runner) error {
		forget(dest)
		return on.SelectContext(ctx, dest, db.read.Rebind(query), args...)
	})
}

// Exec runs one statement by itself, which is a transaction of its own, and returns how many rows it changed. When ctx ends while it
// runs, whether it was done is not known.
func (db *DB) Exec(ctx context.Context, query string, args ...any) (rows int64, err error) {
	err = db.alone(ctx, db.write, func(ctx context.Context, on runner) error {
		result, err := on.ExecContext(ctx, db.write.Rebind(query), args...)
		if err == nil {
			rows, err = result.RowsAffected()
		}
		return err
	})
	return rows, err
}

// Change is Exec for a statement that returns the one row it changed into dest; sql.ErrNoRows when it changed none.
func (db *DB) Change(ctx context.Context, dest any, query string, args ...any) error {
	return db.alone(ctx, db.write, func(ctx context.Context, on runner) error {
		return on.GetContext(ctx, dest, db.write.Rebind(query), args...)
	})
}

// ChangeAll is Exec for a statement that returns the rows it changed, all of them, into the slice dest points to.
func (db *DB) ChangeAll(ctx context.Context, dest any, query string, args ...any) error {
	return db.alone(ctx, db.write, func(ctx context.Context, on runner) error {
		forget(dest)
		return on.SelectContext(ctx, dest, db.write.Rebind(query), args...)
	})
}

// forget empties dest of what a run that lost to another one has read.
func forget(dest any) { reflect.ValueOf(dest).Elem().SetLen(0) }

func redacted(rawURL string) string {
	parsed, err := url.Parse(rawURL)
	if err != nil {
		return "(unreadable URL)"
	}
	return parsed.Redacted()
}
