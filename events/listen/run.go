package listen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"example.com/orderly/internal/backoff"
	"example.com/orderly/internal/database"
)

const (
	// leaseSlack is how much longer than its time-out an attempt is protected from being taken over.
	leaseSlack = 5 * time.Second
	// batchSize bounds the events that a worker takes at once for a listener with an Apply. For one with an Effect it claims one at a
	// time, so that no event waits behind a slow one while another worker is free.
	batchSize = 32
	// batchPause is how long a worker waits after a batch that was not full: what comes in meanwhile makes one batch and not several.
	// An event that comes to a listener at rest does not wait.
	batchPause = 50 * time.Millisecond
	// recordTimeout bounds writing down what became of an attempt, which must be tried although its context has ended.
	recordTimeout = 5 * time.Second
	// maxPause bounds the wait before a worker tries a database again that did not answer.
	maxPause = 30 * time.Second
)

var errStopping = errors.New("the process is stopping")

// Run handles what the inbox's listeners have received, each with its own workers, until ctx ends. Then no further event is
// begun; handlers that still run have the grace to finish, and are cancelled after it without this counting as a failure.
// While the database is down it waits and tries again. Several processes may run the same inbox. The only error is that the
// inbox came from OpenForAdmin.
func (in *Inbox) Run(ctx context.Context) error {
	if in.admin {
		return errors.New("this inbox was opened without its listeners' handlers: open it with Open to run it")
	}
	handling, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)

	var workers sync.WaitGroup
	for _, listener := range in.listeners {
		for range in.workers(listener) {
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

// workers is how many workers the listener has. One with an Effect has more: its workers mostly wait for the outside.
func (in *Inbox) workers(l *registered) int {
	switch {
	case in.options.Workers > 0:
		return in.options.Workers
	case l.Effect != nil:
		return 8
	default:
		return 2
	}
}

// work is one worker: it takes what is due, handles it, and waits when there is nothing, for a wake or for Options.Poll: what another
// process stores, and what is to be tried again, wakes no worker of this process. ctx ends when Run is told to stop; handling, the
// handlers' context, ends up to Options.Grace later.
func (in *Inbox) work(ctx, handling context.Context, l *registered) {
	// While single is true the worker handles each event in a transaction of its own: from the start, and after a batch has failed, until
	// it has found some. So an event that fails, or even ends the process, does not take others with it again.
	single := true
	failures := 0 // of the database, in a row
	for ctx.Err() == nil {
		var found int
		var err error
		inBatches := !single && l.Effect == nil
		if inBatches {
			found, err = in.handleBatch(ctx, handling, l)
		} else {
			found, err = in.handleEach(ctx, handling, l)
		}
		batchFailed := errors.Is(err, errBatchFailed)
		single = batchFailed || single && found == 0
		switch {
		case batchFailed:
			in.options.Log.Debug("some events are handled again, one by one", "listener", l.Name, "error", err)
		case err != nil && ctx.Err() == nil:
			if failures == 0 {
				in.options.Log.Warn("listener pauses: its database does not answer", "listener", l.Name, "error", err)
			}
			failures++
			backoff.Wait(ctx, backoff.After(failures, time.Second, maxPause), nil)
		case found == 0:
			failures = 0
			backoff.Wait(ctx, in.options.Poll, l.woken)
		default:
			failures = 0
			if inBatches && found < batchSize {
				backoff.Wait(ctx, batchPause, nil)
			}
		}
	}
}

// handleEach claims what is due and handles each event in a transaction of its own. It returns an error only when the inbox's own
// database fails.
func (in *Inbox) handleEach(ctx, handling context.Context, l *registered) (int, error) {
	limit := batchSize
	if l.Effect != nil {
		limit = 1
	}
	claimed, until, err := in.claim(ctx, l, limit)
	if err != nil {
		return 0, err
	}
	if len(claimed) == limit {
		l.wake() // there may be more, for another worker
	}
	for i, r := range claimed {
		if ctx.Err() != nil || in.now().Add(l.Timeout).After(until) {
			return len(claimed), in.release(handling, claimed[i:])
		}
		if err := in.attempt(handling, l, r); err != nil {
			return len(claimed), err
		}
	}
	return len(claimed), nil
}

// claim takes due events, and sets their next attempt to the time that it returns: until then no other worker takes them. This lease is a
// little longer than one attempt may last.
func (in *Inbox) claim(ctx context.Context, l *registered, limit int) (claimed []row, until time.Time, err error) {
	now, from, err := in.waitingSince(ctx, l)
	if err != nil {
		return nil, time.Time{}, err
	}
	// Not under ctx: if the statement were cut off, what it has claimed could not be released, and would wait until its lease ends.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	until = now.Add(l.Timeout + leaseSlack)
	claimed, err = in.take(ctx, in.db.ChangeAll, l, now, from, limit, `next_attempt_at = ?`, database.At(until))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("claim events for listener %s: %w", l.Name, err)
	}
	return claimed, until, nil
}

// waitingSince returns the time, and one before which nothing waits for the listener.
func (in *Inbox) waitingSince(ctx context.Context, l *registered) (now time.Time, from database.Time, err error) {
	if now, err = in.Now(ctx); err == nil {
		from, err = l.lowWater.Mark(ctx, now)
	}
	if err != nil {
		return time.Time{}, database.Time{}, fmt.Errorf("look for the oldest event of listener %s: %w", l.Name, err)
	}
	return now, from, nil
}

// newLowWater makes the low-water mark of what waits for the listener.
func (in *Inbox) newLowWater(listener string) *database.LowWater {
	return in.db.LowWater(`
		SELECT next_attempt_at FROM inbox WHERE listener = ? AND state = 'pending'
		ORDER BY next_attempt_at LIMIT (SELECT CAST(1 AS BIGINT))`, listener)
}

// selector runs a statement and reads the rows it returns: the method ChangeAll of a DB, or Select of a Tx.
type selector func(ctx context.Context, dest any, query string, args ...any) error

// take changes the oldest unfinished event of each of up to limit subjects, if it is due and no other worker is taking it, and
// returns these events, the one received first at the top. An event whose predecessor waits, runs or is dead is not the oldest
// unfinished one; with Unordered a dead one does not count. change is what SET assigns, and values its arguments; from is a time before
// which nothing waits.
func (in *Inbox) take(
	ctx context.Context, run selector, l *registered, now time.Time, from database.Time, limit int, change string, values ...any,
) ([]row, error) {
	var taken []row
	// How PostgreSQL reads this must not depend on its statistics. OFFSET 0 keeps it from making a join of the condition, a limit
	// it cannot know from reading and sorting all that is due, and a row's own address from looking for it in another index.
	if err := run(ctx, &taken, `
		UPDATE inbox SET `+change+`
		WHERE `+in.db.AmongFree(in.db.RowID(), `
		    SELECT `+in.db.RowID()+` FROM inbox
		    WHERE listener = ? AND state = 'pending' AND next_attempt_at BETWEEN ? AND ?
		      AND NOT EXISTS (
		          SELECT 1 FROM inbox AS earlier
		          WHERE earlier.listener = inbox.listener AND earlier.source = inbox.source
		            AND earlier.subject = inbox.subject AND earlier.sequence < inbox.sequence
		            AND earlier.state IN ('pending', 'dead') AND earlier.state <> ?
		          LIMIT 1 OFFSET 0)
		    ORDER BY next_attempt_at
		    LIMIT (SELECT CAST(? AS BIGINT))`)+`
		RETURNING listener, event_id, source, subject, sequence, event_type, body, state, attempts, next_attempt_at, reason,
		    received_at, done_at`,
		append(values, l.Name, from, database.At(now), ignoredState(l), limit)...); err != nil {
		return nil, err
	}
	slices.SortFunc(taken, func(a, b row) int {
		return cmp.Or(a.Received.Compare(b.Received.Time), cmp.Compare(a.Sequence, b.Sequence))
	})
	return taken, nil
}

// ignoredState is the state that take leaves out of those that hold back later events: dead with Unordered, else done, which is not one
// of them.
func ignoredState(l *registered) string {
	if l.Unordered {
		return "dead"
	}
	return "done"
}

// release gives back events that were claimed and not begun, but for those that another worker has claimed since.
func (in *Inbox) release(ctx context.Context, claimed []row) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	return in.db.InTx(ctx, func(tx *database.Tx) error {
		for _, r := range claimed {
			if _, err := tx.Exec(ctx, `
				UPDATE inbox SET next_attempt_at = ?
				WHERE listener = ? AND event_id = ? AND `+database.Check(`state = 'pending' AND next_attempt_at = ?`),
				database.At(in.now()), r.Listener, r.EventID, r.NextAttempt); err != nil {
				return err
			}
		}
		return nil
	})
}
