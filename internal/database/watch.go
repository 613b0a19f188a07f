package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/orderly/internal/fault"
)

// doubtFor is how long a database that refused a write counts as one that takes none, where no write can be tried.
const doubtFor = 5 * time.Second

// watch is what the statements of one pool have met.
type watch struct {
	// era is counted up when the connections there are should no longer be used.
	era atomic.Int64
	// refusal is the latest write that failed for a reason which is not its own.
	refusal atomic.Pointer[refusal]
	// clock is the server's.
	clock *clock
}

func newWatch() *watch { return &watch{clock: newClock()} }

type refusal struct {
	reason error
	at     time.Time
}

// saw takes note of what came of a statement.
func (w *watch) saw(err error) {
	if v, ok := judge(err); ok && v.unwritable {
		w.refusal.Store(&refusal{err, time.Now()})
	}
}

// sessions watches connections to PostgreSQL. Each session keeps some of what the server was when it began, such as
// default_transaction_read_only.
type sessions struct{ *watch }

const eraOf = "orderly_era" // in what pgx lets us keep with a connection

func (s sessions) begun(conn *pgx.Conn) { conn.PgConn().CustomData()[eraOf] = s.era.Load() }

// told runs what a new connection is told first, which ends with the question for the time.
func (s sessions) told(ctx context.Context, conn *pgx.Conn, statements string) error {
	err := s.clock.learnFrom(ctx, conn, statements)
	if err != nil {
		s.TraceQueryEnd(ctx, conn, pgx.TraceQueryEndData{Err: err})
		return errors.Join(err, conn.Close(ctx)) // the driver would leave it open
	}
	return nil
}

// TraceQueryStart implements pgx.QueryTracer.
func (s sessions) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer. One session that is of no use any more ends the era of all.
func (s sessions) TraceQueryEnd(_ context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	if data.Err == nil {
		return
	}
	s.saw(data.Err)
	if v, ok := judge(data.Err); ok && v.reconnect {
		if era, ok := conn.PgConn().CustomData()[eraOf].(int64); ok {
			s.era.CompareAndSwap(era, era+1)
		}
	}
}

// reusable is asked before a connection is used again.
func (s sessions) reusable(_ context.Context, conn *pgx.Conn) error {
	if conn.PgConn().CustomData()[eraOf] != s.era.Load() {
		return driver.ErrBadConn
	}
	return nil
}

// errReadOnly is met by readiness only; a write meets 25006.
var errReadOnly = errors.New("the server is a standby or was set read-only")

// Writable asks whether the database takes writes, by one statement that reads: a standby and a server that was set read-only say so. After a
// write that was refused for a reason which is not its own, as on a full disk, it also tries one, and asks rights whether the login may still
// change our tables. Unavailable when the database takes none.
func (db *DB) Writable(ctx context.Context, rights func(ctx context.Context) error) error {
	query := `SELECT COUNT(*) < 0 AS read_only, NULL AS said FROM sqlite_master` // reads the file, which a ping does not
	if db.engine == PostgreSQL {
		query = `SELECT current_setting('transaction_read_only') = 'on' AS read_only, clock_timestamp() AS said`
	}
	var found struct {
		ReadOnly bool `db:"read_only"`
		Said     Time `db:"said"`
	}
	began := passed()
	if err := db.read.GetContext(ctx, &found, query); err != nil {
		return classify(err)
	}
	if !found.Said.IsZero() {
		db.watch.clock.learn(found.Said.Time, began)
	}
	if found.ReadOnly {
		db.watch.era.Add(1) // the next look asks a new session
		return fmt.Errorf("%w: %w", fault.New(fault.Unavailable, CodeUnavailable, "the database takes no writes"), errReadOnly)
	}
	refused := db.watch.refusal.Load()
	if refused == nil {
		return nil
	}
	if err := db.tryWrite(ctx, *refused); err != nil {
		return fmt.Errorf("a write was refused (%w), and is still: %w", refused.reason, classify(err))
	}
	if err := rights(ctx); err != nil {
		return err
	}
	db.watch.refusal.CompareAndSwap(refused, nil)
	return nil
}

// trialWrite takes pages from the disk that the tables are on, which a short write into an existing page would not. No one else sees it, and
// nothing is left of it but dead rows of the catalogue, which is why it is only run after a refusal.
const trialWrite = `CREATE TEMPORARY TABLE orderly_trial ON COMMIT DROP AS SELECT repeat('x', 1000) FROM generate_series(1, 100)`

// tryWrite returns the reason why a write is refused. Where it can't be tried, on SQLite or by a login that may make no temporary tables, a refusal
// is believed for doubtFor.
func (db *DB) tryWrite(ctx context.Context, refused refusal) error {
	doubt := refused.reason
	if time.Since(refused.at) > doubtFor {
		doubt = nil
	}
	if db.engine == SQLite {
		return doubt
	}
	tx, err := db.write.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	_, err = tx.ExecContext(ctx, trialWrite)
	if said := sqlstate(err); said != nil && said.Code == "42501" {
		return doubt
	}
	return err
}
