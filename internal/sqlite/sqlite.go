// Package sqlite opens SQLite files. It imports the driver and no package of ours.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math/rand/v2"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// keptStatements bounds what a connection keeps. Texts are constants, but for how many rows they insert.
const keptStatements = 200

// openTimeout is how long to go on trying to open a file that others are turning to WAL.
const openTimeout = 5 * time.Second

// Open returns a pool on the file that dsn names, as the driver modernc.org/sqlite reads it. Nothing is opened before it is used.
// Its connections keep their prepared statements: parsing one takes about as long as running it, and the driver itself parses it each
// time.
func Open(dsn string) *sql.DB { return sql.OpenDB(connector{dsn}) }

type connector struct{ dsn string }

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return &sqlite.Driver{} }

// Connect implements driver.Connector. When several processes open a new file at once, one of them turns it to WAL. Meanwhile the others
// get SQLITE_BUSY at once, since busy_timeout does not apply to that change, so they try again here.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	for {
		opened, err := c.Driver().Open(c.dsn)
		if err == nil {
			return &conn{driverConn: opened.(driverConn), kept: map[string]*keptStatement{}}, nil
		}
		if !IsBusy(err) {
			return nil, err
		}
		pause := time.NewTimer(time.Duration(rand.IntN(20)+1) * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, err
		}
	}
}

// IsBusy reports whether err says that another connection holds a lock on the file.
func IsBusy(err error) bool {
	code, ok := Code(err)
	return ok && code == sqlite3.SQLITE_BUSY
}

// Code returns SQLite's primary result code; ok is false where err has none.
func Code(err error) (code int, ok bool) {
	if lite, is := errors.AsType[*sqlite.Error](err); is {
		return lite.Code() & 0xff, true
	}
	return 0, false
}

// driverConn is all that database/sql asks of a connection and the driver's has.
type driverConn interface {
	driver.Conn
	driver.Pinger
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// conn is used by one goroutine at a time; database/sql sees to that, also when rows are closed.
type conn struct {
	driverConn
	kept map[string]*keptStatement
}

type keptStatement struct {
	driver.StmtExecContext
	driver.StmtQueryContext
	close func() error
	busy  bool // its rows are still being read
}

// statement returns the prepared statement, or nil where it is not to be kept or is busy.
func (c *conn) statement(ctx context.Context, query string, args []driver.NamedValue) (*keptStatement, error) {
	if kept := c.kept[query]; kept != nil {
		if kept.busy {
			return nil, nil
		}
		return kept, nil
	}
	if len(args) == 0 || len(c.kept) == keptStatements { // one without arguments is seldom run: a migration, a savepoint, a figure
		return nil, nil
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	kept := &keptStatement{prepared.(driver.StmtExecContext), prepared.(driver.StmtQueryContext), prepared.Close, false}
	c.kept[query] = kept
	return kept, nil
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	kept, err := c.statement(ctx, query, args)
	if err != nil {
		return nil, err
	}
	if kept == nil {
		return c.driverConn.ExecContext(ctx, query, args)
	}
	return kept.ExecContext(ctx, args)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	kept, err := c.statement(ctx, query, args)
	if err != nil {
		return nil, err
	}
	if kept == nil {
		return c.driverConn.QueryContext(ctx, query, args)
	}
	rows, err := kept.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	kept.busy = true
	return &keptRows{rows, kept}, nil
}

// Close implements driver.Conn.
func (c *conn) Close() error {
	for _, kept := range c.kept {
		_ = kept.close() // it returns the error of the last run again
	}
	return c.driverConn.Close()
}

type keptRows struct {
	driver.Rows
	of *keptStatement
}

// Close implements driver.Rows.
func (r *keptRows) Close() error {
	r.of.busy = false
	return r.Rows.Close()
}
