package testenv

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"example.com/orderly/internal/database"
)

// Recorder keeps the statements that ran on a database and, when told to, how the engine ran each of them. So a test asks about
// the SQL that is used, not about a second copy of it.
type Recorder struct {
	t          testing.TB
	explain    func(ctx context.Context, on engineConn, query string, args []driver.NamedValue) (Plan, error)
	lock       sync.Mutex
	explaining bool
	statements []Statement
}

// Statement is one round trip to the database. Begin, commit and what has to do with savepoints are statements, too; they have no plan.
type Statement struct {
	Query string
	Plan  Plan
}

// Recorded opens the database of db a second time, so that what runs on it is recorded.
func Recorded(t testing.TB, db *database.DB) (*database.DB, *Recorder) {
	t.Helper()
	r := &Recorder{t: t, explain: explainPostgres}
	opened := connector{recorder: r, driver: stdlib.GetDefaultDriver(), name: URL(t, db)}
	if path, is := strings.CutPrefix(opened.name, "sqlite:"); is {
		r.explain = explainSQLite
		opened.driver = &sqlite.Driver{}
		opened.name = fmt.Sprintf("file:%s?_txlock=immediate&_time_integer_format=unix_micro&_pragma=busy_timeout(5000)"+
			"&_pragma=foreign_keys(1)&_pragma=synchronous(FULL)", (&url.URL{Path: path}).EscapedPath())
	}
	pool := sql.OpenDB(opened)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	if db.Engine() == database.SQLite {
		pool.SetMaxOpenConns(1)
	}
	return database.Over(db.Name(), db.Engine(), pool), r
}

// Run returns what ran during work.
func (r *Recorder) Run(work func()) []Statement { return r.record(false, work) }

// Explain returns what ran during work, with the plans: each statement is first run with EXPLAIN, which is taken back.
func (r *Recorder) Explain(work func()) []Statement { return r.record(true, work) }

func (r *Recorder) record(explaining bool, work func()) []Statement {
	r.lock.Lock()
	r.statements, r.explaining = nil, explaining
	r.lock.Unlock()
	work()
	r.lock.Lock()
	defer r.lock.Unlock()
	r.explaining = false
	return r.statements
}

func (r *Recorder) add(ctx context.Context, on *recordedConn, query string, args []driver.NamedValue) {
	r.lock.Lock()
	explaining := r.explaining
	r.lock.Unlock()
	s := Statement{Query: query}
	if explaining && on != nil && !strings.Contains(query, "SAVEPOINT") {
		plan, err := on.explained(ctx, query, args)
		if err != nil {
			r.t.Errorf("explain %s: %v", query, err)
		}
		s.Plan = plan
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	r.statements = append(r.statements, s)
}

type connector struct {
	name     string
	driver   driver.Driver
	recorder *Recorder
}

func (c connector) Driver() driver.Driver { return c.driver }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.driver.Open(c.name)
	if err != nil {
		return nil, err
	}
	on := conn.(engineConn)
	if _, lite := c.driver.(*sqlite.Driver); !lite {
		if _, err := on.ExecContext(ctx, database.Session, nil); err != nil {
			return nil, err
		}
	}
	return &recordedConn{engineConn: on, recorder: c.recorder}, nil
}

// engineConn is what the connections of both drivers can do.
type engineConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
}

type recordedConn struct {
	engineConn
	recorder *Recorder
	inTx     bool
}

// CheckNamedValue implements driver.NamedValueChecker as the driver does.
func (c *recordedConn) CheckNamedValue(value *driver.NamedValue) error {
	if checker, ok := c.engineConn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(value)
	}
	return driver.ErrSkip
}

func (c *recordedConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	c.recorder.add(ctx, nil, "BEGIN", nil)
	tx, err := c.engineConn.BeginTx(ctx, options)
	c.inTx = err == nil
	return recordedTx{tx, c}, err
}

func (c *recordedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.recorder.add(ctx, c, query, args)
	return c.engineConn.ExecContext(ctx, query, args)
}

func (c *recordedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.recorder.add(ctx, c, query, args)
	return c.engineConn.QueryContext(ctx, query, args)
}

// explained runs the statement with EXPLAIN where it would run itself, and takes back what that changed.
func (c *recordedConn) explained(ctx context.Context, query string, args []driver.NamedValue) (plan Plan, err error) {
	around := []string{`SAVEPOINT explained`, `ROLLBACK TO SAVEPOINT explained`}
	if !c.inTx {
		around = []string{`BEGIN`, `ROLLBACK`}
	}
	if _, err := c.engineConn.ExecContext(ctx, around[0], nil); err != nil {
		return Plan{}, err
	}
	plan, err = c.recorder.explain(ctx, c.engineConn, query, args)
	if _, undo := c.engineConn.ExecContext(ctx, around[1], nil); undo != nil {
		return Plan{}, undo
	}
	return plan, err
}

type recordedTx struct {
	driver.Tx
	conn *recordedConn
}

func (tx recordedTx) Commit() error {
	tx.conn.inTx = false
	tx.conn.recorder.add(context.Background(), nil, "COMMIT", nil)
	return tx.Tx.Commit()
}

func (tx recordedTx) Rollback() error {
	tx.conn.inTx = false
	return tx.Tx.Rollback()
}
