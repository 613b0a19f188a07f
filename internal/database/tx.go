package database

import (
	"context"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
)

// longestTx bounds a transaction from its begin to the end of its commit.
const longestTx = time.Minute

// Tx is a transaction. Its methods take ? placeholders on either engine.
type Tx struct {
	*sqlx.Tx
	db          *DB
	afterCommit []func()
}

// Getter reads one row, inside a transaction or outside: it is the method Get of a DB or of a Tx.
type Getter func(ctx context.Context, dest any, query string, args ...any) error

// InTx runs work in one transaction: committed when work returns nil, rolled back when it returns an error or panics. A
// transaction that lost to another one (deadlock, serialization failure, a lock that it waited for) is run again, so work must have no effect
// outside it. Unavailable when others hold a lock for seconds.
// Cancelling ctx stops the statements of work; it never interrupts the commit, so nil always means committed and an error
// before the commit always means rolled back. Only a connection lost during the commit itself leaves doubt.
func (db *DB) InTx(ctx context.Context, work func(tx *Tx) error) error {
	return db.retrying(ctx, func(patient bool) error { return db.inTxOnce(ctx, patient, work) })
}

func (db *DB) inTxOnce(ctx context.Context, patient bool, work func(tx *Tx) error) (err error) {
	conn, err := db.write.Connx(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ignoreDone(conn.Close())) }()

	// database/sql rolls a transaction back by itself when its context ends, also between the last statement and the
	// commit; the outcome must be ours to decide.
	// The limit is for a server that is gone without having closed the connection: a statement would wait for it without end.
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestTx)
	defer cancel()
	db.transactions.Add(1)
	raw, err := conn.BeginTxx(own, nil)
	if err != nil {
		return err
	}
	tx := &Tx{Tx: raw, db: db}
	committed := false
	defer func() {
		if !committed {
			_ = raw.Rollback()
		}
	}()
	if patient {
		if err := waitPatiently(ctx, raw); err != nil {
			return err
		}
	}
	if err := work(tx); err != nil {
		return err
	}
	if err := raw.Commit(); err != nil {
		return err
	}
	committed = true
	for _, do := range tx.afterCommit {
		do()
	}
	return nil
}

// AfterCommit has do called once the transaction is committed, never when it is not. do must not block.
func (tx *Tx) AfterCommit(do func()) { tx.afterCommit = append(tx.afterCommit, do) }

// Get reads one row into dest; sql.ErrNoRows when there is none.
func (tx *Tx) Get(ctx context.Context, dest any, query string, args ...any) error {
	tx.db.statements.Add(1)
	return tx.GetContext(ctx, dest, tx.Rebind(query), args...)
}

// Select reads all rows into the slice dest points to.
func (tx *Tx) Select(ctx context.Context, dest any, query string, args ...any) error {
	tx.db.statements.Add(1)
	return tx.SelectContext(ctx, dest, tx.Rebind(query), args...)
}

// Exec runs a statement and returns how many rows it changed.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	tx.db.statements.Add(1)
	result, err := tx.ExecContext(ctx, tx.Rebind(query), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// LockRows is the clause that locks the rows a SELECT returns until the end of the transaction. SQLite's transactions already
// hold the only write lock.
func (tx *Tx) LockRows() string {
	if tx.db.engine == PostgreSQL {
		return " FOR UPDATE"
	}
	return ""
}

// LockName keeps other transactions that lock this name waiting until this one ends, also where there is no row yet that could be locked.
// SQLite's transactions already hold the only write lock.
func (tx *Tx) LockName(ctx context.Context, name string) error {
	if tx.db.engine != PostgreSQL {
		return nil
	}
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended(?, 0))`, name)
	return err
}

// Attempt runs work so that its statements can be taken back alone: when work returns an error they are, and the
// transaction goes on.
func (tx *Tx) Attempt(ctx context.Context, work func() error) error {
	if _, err := tx.Exec(ctx, `SAVEPOINT attempt`); err != nil {
		return err
	}
	hooks := len(tx.afterCommit)
	if err := work(); err != nil {
		tx.afterCommit = tx.afterCommit[:hooks]
		// Not under ctx: if it has ended, the transaction must still be left in a state that can be judged.
		if _, undo := tx.Exec(context.WithoutCancel(ctx), `ROLLBACK TO SAVEPOINT attempt`); undo != nil {
			return errors.Join(err, undo)
		}
		return err
	}
	_, err := tx.Exec(ctx, `RELEASE SAVEPOINT attempt`)
	return err
}
