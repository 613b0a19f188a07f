package database

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	// maxRetries bounds how often one transaction is run again after it lost to another one.
	maxRetries = 5
	// lockTimeout is how long each connection of a pool may wait for a lock. There are four, which is what a handful of orders for one locked SKU
	// would take from all others, from the relay and from readiness.
	lockTimeout = 150 * time.Millisecond
	// lockPatience is how long one of them, the only one at a time, may wait, and how long others wait for their turn.
	lockPatience = 2 * time.Second
)

// lockSetting is what the sessions of a service's own pool are told beside the others.
var lockSetting = fmt.Sprintf(`lock_timeout = %d`, lockTimeout.Milliseconds())

// runner is what runs a statement: a pool, or a transaction.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	GetContext(ctx context.Context, dest any, query string, args ...any) error
	SelectContext(ctx context.Context, dest any, query string, args ...any) error
}

// alone runs one statement that changes something, as a transaction of its own.
func (db *DB) alone(ctx context.Context, pool *sqlx.DB, run func(ctx context.Context, on runner) error) error {
	return db.retrying(ctx, func(patient bool) error {
		ctx, cancel := context.WithTimeout(ctx, longestTx)
		defer cancel()
		db.transactions.Add(1)
		// Through a pooler it takes a transaction to be told the settings.
		return db.statement(ctx, pool, patient || db.pooled, patient, run)
	})
}

// reading runs one statement that changes nothing.
func (db *DB) reading(ctx context.Context, run func(ctx context.Context, on runner) error) error {
	return db.retrying(ctx, func(patient bool) error { return db.statement(ctx, db.read, patient, patient, run) })
}

func (db *DB) statement(
	ctx context.Context, pool *sqlx.DB, inTx, patient bool, run func(ctx context.Context, on runner) error,
) error {
	db.statements.Add(1)
	if !inTx {
		return run(ctx, pool)
	}
	tx, err := pool.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if patient {
		if err := waitPatiently(ctx, tx); err != nil {
			return err
		}
	}
	if err := run(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// waitPatiently has the transaction wait for its locks for longer.
func waitPatiently(ctx context.Context, tx *sqlx.Tx) error {
	_, err := tx.ExecContext(ctx, fmt.Sprintf(`SET LOCAL lock_timeout = %d`, lockPatience.Milliseconds()))
	return err
}

// retrying runs a transaction again that lost to another one, and once that met a connection which was of no use. One that did not get its lock
// at once gives its connection back, waits for its turn to be patient, and then is run once more.
func (db *DB) retrying(ctx context.Context, run func(patient bool) error) error {
	db.renew(ctx)
	patient := false
	for attempt := 0; ; attempt++ {
		err := run(patient)
		v, _ := judge(err)
		if !v.again || attempt == maxRetries || v.reconnect && attempt > 0 || v.locked && patient || ctx.Err() != nil {
			return classify(err)
		}
		if v.locked {
			if !db.turn(ctx) {
				return classify(err)
			}
			defer func() { <-db.patient }() // once: it stays patient
			patient = true
		}
		db.retries.Add(1)
		pause := time.NewTimer(time.Duration(rand.IntN(10<<attempt)+1) * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

// turn waits for the turn to be patient.
func (db *DB) turn(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	select {
	case db.patient <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}
