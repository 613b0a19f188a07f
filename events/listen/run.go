package listen

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/orderly/internal/database"
)

const (
	// leaseSlack is how much longer than its time-out an attempt is protected from being taken over.
	leaseSlack = 5 * time.Second
	// claimed at once by a worker whose listener only writes to its own database. One that waits for the outside claims one at
	// a time, so that no event sits behind a slow one while another worker is free.
	batch = 32
	// recordTimeout bounds writing down what became of an attempt, which must be tried although its context has ended.
	recordTimeout = 5 * time.Second
	maxPause      = 30 * time.Second
)

var errStopping = errors.New("the process is stopping")

// Run handles what the inbox's listeners have received, each with its own workers, until ctx ends. Then no further event is
// begun; handlers that still run have the grace to finish, and are cancelled after it without this counting as a failure.
// While the database is down it waits and tries again. Several processes may run the same inbox.
func (in *Inbox) Run(ctx context.Context) error {
	handling, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)

	var workers sync.WaitGroup
	for _, listener := range in.listeners {
		for range in.options.Workers {
			workers.Go(func() { in.work(ctx, handling, listener) })
		}
	}
	ended := make(chan struct{})
	go func() { workers.Wait(); close(ended) }()

	<-ctx.Done()
	grace := time.NewTimer(in.options.Grace)
	defer grace.Stop()
	select {
	case <-ended:
	case <-grace.C:
		cancel(errStopping)
		<-ended
	}
	return nil
}

// work is one worker: claim, handle, again; and wait when there is nothing. The wake is a hint, the table is the truth.
func (in *Inbox) work(ctx, handling context.Context, l *registered) {
	failures := 0
	for ctx.Err() == nil {
		found, err := in.round(ctx, handling, l)
		switch {
		case err != nil && ctx.Err() == nil:
			if failures == 0 {
				in.options.Log.Warn("listener pauses: its database does not answer", "listener", l.Name, "error", err)
			}
			failures++
			wait(ctx, nil, pause(failures))
		case found == 0:
			failures = 0
			wait(ctx, l.woken, in.options.Poll)
		default:
			failures = 0
		}
	}
}

// round claims what is due and handles it. It returns an error only when the inbox's own database fails.
func (in *Inbox) round(ctx, handling context.Context, l *registered) (int, error) {
	limit := batch
	if l.Effect != nil {
		limit = 1
	}
	claimed, until, err := in.claim(ctx, l, limit)
	if err != nil {
		return 0, err
	}
	if len(claimed) == limit {
		l.wake() // there may be more than this worker can carry
	}
	for i, r := range claimed {
		if ctx.Err() != nil || in.options.Now().Add(l.Timeout).After(until) {
			return len(claimed), in.release(handling, claimed[i:])
		}
		if err := in.attempt(handling, l, r); err != nil {
			return len(claimed), err
		}
	}
	return len(claimed), nil
}

// claim takes the oldest unfinished event of up to limit subjects, if it is due, for as long as one attempt may take. An event
// whose predecessor waits, runs or is dead is not the oldest unfinished one; Unordered looks past the dead.
func (in *Inbox) claim(ctx context.Context, l *registered, limit int) (claimed []row, until time.Time, err error) {
	err = in.db.InTx(ctx, func(tx *database.Tx) error {
		claimed = nil
		now := in.options.Now()
		until = now.Add(l.Timeout + leaseSlack)
		if err := tx.Select(ctx, &claimed, `
			SELECT listener, event_id, source, subject, sequence, event_type, body, state, attempts, next_attempt_at, reason,
			    received_at, done_at
			FROM inbox
			WHERE listener = ? AND state = 'pending' AND next_attempt_at <= ?
			  AND NOT EXISTS (
			      SELECT 1 FROM inbox AS earlier
			      WHERE earlier.listener = inbox.listener AND earlier.source = inbox.source
			        AND earlier.subject = inbox.subject AND earlier.sequence < inbox.sequence
			        AND earlier.state <> 'done' AND earlier.state <> ?)
			ORDER BY next_attempt_at, sequence
			LIMIT ?`+tx.LockFreeRows(), l.Name, database.At(now), passable(l), limit); err != nil {
			return err
		}
		if len(claimed) == 0 {
			return nil
		}
		ids := make([]string, len(claimed))
		for i, r := range claimed {
			ids[i] = r.EventID
		}
		query, args, err := sqlx.In(`UPDATE inbox SET next_attempt_at = ? WHERE listener = ? AND event_id IN (?)`,
			database.At(until), l.Name, ids)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("claim events for listener %s: %w", l.Name, err)
	}
	return claimed, until, nil
}

// passable is the state, besides done, of an event that does not hold back later ones of its subject.
func passable(l *registered) string {
	if l.Unordered {
		return "dead"
	}
	return "done"
}

// release gives back events that were claimed and not begun.
func (in *Inbox) release(ctx context.Context, claimed []row) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	return in.db.InTx(ctx, func(tx *database.Tx) error {
		for _, r := range claimed {
			if _, err := tx.Exec(ctx, `
				UPDATE inbox SET next_attempt_at = ? WHERE listener = ? AND event_id = ? AND state = 'pending' AND attempts = ?`,
				database.At(in.options.Now()), r.Listener, r.EventID, r.Attempts); err != nil {
				return err
			}
		}
		return nil
	})
}

// pause is how long to stay away from a database that has failed this many times in a row.
func pause(failures int) time.Duration {
	longest := min(time.Second<<min(failures-1, 10), maxPause)
	return longest/2 + rand.N(longest/2)
}

func wait(ctx context.Context, woken <-chan struct{}, longest time.Duration) {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-woken:
	case <-timer.C:
	}
}
