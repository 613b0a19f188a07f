// Package database opens a service's database and runs its transactions. A service owns one database: a PostgreSQL database
// or a SQLite file. The SQL is the same text for both; what differs between the engines is here, named for what it does.
package database

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"

	"example.com/orderly/internal/sqlite"
)

// Engine is the database server behind a DB.
type Engine string

const (
	PostgreSQL Engine = "postgres"
	SQLite     Engine = "sqlite"
)

// maxOpen is the pool of one database in one process. Small on purpose: a process may hold six of them, and PostgreSQL serves
// a few busy connections better than many waiting ones.
const maxOpen = 4

// Session is what a connection to PostgreSQL is told first. These are no parameters of the connection, which poolers refuse.
//
// A process that vanishes without a word, with its machine, must not keep its locks for longer than a transaction of ours takes
// (longestTx, a minute): the server would notice after hours. And whatever we ask for all day has an index, while PostgreSQL keeps the
// plan it made for a connection when the table was small, and read from end to end faster. With such plans made to look dear, it
// would think of compiling the few statements that do need one.
const Session = `SET idle_in_transaction_session_timeout = 60000; SET enable_seqscan = off; SET jit = off`

func init() {
	// sqlx does not know this driver's name and would leave the ? placeholders to guesswork.
	sqlx.BindDriver("sqlite", sqlx.QUESTION)
}

// DB is one service's database. Reads outside a transaction may run on another connection than writes.
type DB struct {
	name   string
	engine Engine
	write  *sqlx.DB
	read   *sqlx.DB
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
	if err := db.Ping(ctx); err != nil {
		_ = db.Close()
		return nil, openError(name, rawURL, err)
	}
	return db, nil
}

// Later is Open without asking whether the server is there: it connects when it is first used.
func Later(name, rawURL string) (*DB, error) {
	db := &DB{name: name}
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
	config, err := pgx.ParseConfig(rawURL)
	if err != nil {
		return errors.New("the URL cannot be read") // the driver's own message may quote the password
	}
	pool := sqlx.NewDb(stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, Session)
		return err
	})), "pgx")
	pool.SetMaxOpenConns(maxOpen)
	pool.SetMaxIdleConns(maxOpen)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	db.write, db.read = pool, pool
	return nil
}

// SQLite allows one writer. One connection whose transactions take the write lock at BEGIN never has to upgrade a read lock,
// which is what makes SQLITE_BUSY unavoidable; readers have a pool of their own and never wait for it (WAL).
func (db *DB) openSQLite(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	dsn := func(more string) string {
		return "file:" + (&url.URL{Path: path}).EscapedPath() +
			"?_txlock=immediate&_time_integer_format=unix_micro&_pragma=busy_timeout(5000)" +
			"&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)" + more
	}
	db.write = sqlx.NewDb(sqlite.Open(dsn("")), "sqlite")
	db.write.SetMaxOpenConns(1)
	db.read = sqlx.NewDb(sqlite.Open(dsn("&_query_only=1")), "sqlite")
	db.read.SetMaxOpenConns(maxOpen)
	db.read.SetMaxIdleConns(maxOpen)
	return classify(db.write.Ping()) // makes the file before a reader asks for it
}

// Name is the service's name, as given to Open.
func (db *DB) Name() string { return db.name }

// Engine tells which server is behind the DB.
func (db *DB) Engine() Engine { return db.engine }

// Statements is how many SQL statements this DB has run since it was opened.
func (db *DB) Statements() int64 { return db.statements.Load() }

// Transactions is how many transactions it has begun, single statements that change something among them.
func (db *DB) Transactions() int64 { return db.transactions.Load() }

// Retries is how many transactions were run again after a deadlock or a serialization failure.
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
	db.statements.Add(1)
	return classify(db.read.GetContext(ctx, dest, db.read.Rebind(query), args...))
}

// Select reads all rows into the slice dest points to.
func (db *DB) Select(ctx context.Context, dest any, query string, args ...any) error {
	db.statements.Add(1)
	return classify(db.read.SelectContext(ctx, dest, db.read.Rebind(query), args...))
}

// Exec runs one statement by itself, which is a transaction of its own, and returns how many rows it changed. When ctx ends while it
// runs, whether it was done is not known.
func (db *DB) Exec(ctx context.Context, query string, args ...any) (rows int64, err error) {
	err = db.alone(ctx, func(ctx context.Context) error {
		result, err := db.write.ExecContext(ctx, db.write.Rebind(query), args...)
		if err == nil {
			rows, err = result.RowsAffected()
		}
		return err
	})
	return rows, err
}

// Change is Exec for a statement that returns the one row it changed into dest; sql.ErrNoRows when it changed none.
func (db *DB) Change(ctx context.Context, dest any, query string, args ...any) error {
	return db.alone(ctx, func(ctx context.Context) error {
		return db.write.GetContext(ctx, dest, db.write.Rebind(query), args...)
	})
}

// ChangeAll is Exec for a statement that returns the rows it changed, all of them, into the slice dest points to.
func (db *DB) ChangeAll(ctx context.Context, dest any, query string, args ...any) error {
	return db.alone(ctx, func(ctx context.Context) error {
		reflect.ValueOf(dest).Elem().SetZero() // what a run that lost to another one has read
		return db.write.SelectContext(ctx, dest, db.write.Rebind(query), args...)
	})
}

func (db *DB) alone(ctx context.Context, run func(ctx context.Context) error) error {
	return db.retrying(ctx, func() error {
		ctx, cancel := context.WithTimeout(ctx, longestTx)
		defer cancel()
		db.statements.Add(1)
		db.transactions.Add(1)
		return run(ctx)
	})
}

func redacted(rawURL string) string {
	parsed, err := url.Parse(rawURL)
	if err != nil {
		return "(unreadable URL)"
	}
	return parsed.Redacted()
}
