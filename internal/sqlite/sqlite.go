// Package sqlite opens SQLite files. It imports the driver and no package of ours.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math/rand/v2"
	"sync/atomic"
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
// time. One whose file can't be used as it should be is thrown away, and the next one opens the file anew; it is made only by the first.
// failed, where given, is called with each error.
func Open(dsn string, failed func(err error)) *sql.DB {
	if failed == nil {
		failed = func(error) {}
	}
	return sql.OpenDB(connector{dsn, failed, new(atomic.Bool)})
}

type connector struct {
	dsn    string
	failed func(err error)
	made   *atomic.Bool // the file is there
}

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return &sqlite.Driver{} }

// Connect implements driver.Connector. When several processes open a new file at once, one of them turns it to WAL. Meanwhile the others
// get SQLITE_BUSY at once, since busy_timeout does not apply to that change, so they try again here.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	dsn := c.dsn
	if c.made.Load() {
		dsn += "&mode=rw" // a file that is gone must not be replaced by an empty one
	}
	for {
		opened, err := c.Driver().Open(dsn)
		if err == nil {
			c.made.Store(true)
			return &conn{driverConn: opened.(driverConn), kept: map[string]*keptStatement{}, failed: c.failed}, nil
		}
		if !IsBusy(err) {
			c.failed(err)
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
	kept   map[string]*keptStatement
	failed func(err error)
	broken bool
}

// met takes note of err and returns it.
func (c *conn) met(err error) error {
	if err == nil {
		return nil
	}
	switch code, _ := Code(err); code {
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB:
		c.broken = true
	}
	c.failed(err)
	return err
}

// IsValid implements driver.Validator.
func (c *conn) IsValid() bool { return !c.broken && c.driverConn.IsValid() }

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	begun, err := c.driverConn.BeginTx(ctx, options)
	if err != nil {
		return nil, c.met(err)
	}
	return tx{begun, c}, nil
}

type tx struct {
	driver.Tx
	on *conn
}

// Commit implements driver.Tx.
func (t tx) Commit() error { return t.on.met(t.Tx.Commit()) }

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
		return nil, c.met(err)
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
	var result driver.Result
	if kept == nil {
		result, err = c.driverConn.ExecContext(ctx, query, args)
	} else {
		result, err = kept.ExecContext(ctx, args)
	}
	return result, c.met(err)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	kept, err := c.statement(ctx, query, args)
	if err != nil {
		return nil, err
	}
	if kept == nil {
		rows, err := c.driverConn.QueryContext(ctx, query, args)
		return rows, c.met(err)
	}
	rows, err := kept.QueryContext(ctx, args)
	if err != nil {
		return nil, c.met(err)
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
