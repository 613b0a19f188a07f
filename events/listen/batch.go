package listen

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/orderly/internal/database"
)

// maxBatchTime is how old a batch may be to begin another event: its rows are locked, and on SQLite every other writer waits.
const maxBatchTime = 500 * time.Millisecond

// errBatchFailed means that a whole batch was rolled back because something in it failed.
var errBatchFailed = errors.New("a batch failed")

// handleBatch handles a batch of what is due in one transaction, for a listener that only writes to its own database. The events
// are marked first, and the locks on their rows are what a lease is to an event that is handled alone: they end with the
// transaction, also when the process is killed. When the process is to stop, or the batch has taken long, it ends early and keeps
// what is done.
//
// When anything fails, nothing of the batch is kept and the error is errBatchFailed: which event is to blame shows when they are
// handled one by one. The failure of a batch of one is that event's own, and is written down. Any other error is the database's.
func (in *Inbox) handleBatch(ctx, handling context.Context, l *registered) (found int, err error) {
	now, from, err := in.waitingSince(handling, l)
	if err != nil {
		return 0, err
	}
	var taken []row
	done := 0
	err = in.db.InTx(handling, func(tx *database.Tx) (err error) {
		done = 0 // InTx may run this again
		began := in.now()
		moment, at := in.db.Moment(in.options.Now)
		taken, err = in.take(handling, tx.Select, l, now, from, batchSize, `state = 'done', done_at = `+moment+`, reason = ''`, at)
		if err != nil {
			return err
		}
		if len(taken) == batchSize {
			l.wake() // there may be more, for another worker
		}
		for _, r := range taken {
			if ctx.Err() != nil || done > 0 && in.now().After(began.Add(maxBatchTime)) {
				return in.unmark(handling, tx, l, taken[done:])
			}
			if err := apply(handling, tx, l, r); err != nil {
				return batchFailure(taken, err)
			}
			done++
		}
		return nil
	})
	switch {
	case err == nil:
		l.done.Add(int64(done))
	case len(taken) == 1:
		err = in.finish(handling, l, taken[0], err)
	case len(taken) > 1 && !errors.Is(err, errBatchFailed):
		err = batchFailure(taken, err) // the commit failed
	}
	return len(taken), err
}

// batchFailure makes the failure of one event that of its batch. The cause is quoted and not wrapped: by a wrapped one InTx would see that
// the transaction lost to another, and run the whole batch again, with as many locks.
func batchFailure(taken []row, err error) error {
	if len(taken) == 1 {
		return err
	}
	return fmt.Errorf("%w: %v", errBatchFailed, err) //nolint:errorlint // see above
}

func apply(ctx context.Context, tx *database.Tx, l *registered, r row) error {
	ctx, cancel := context.WithTimeout(ctx, l.Timeout)
	defer cancel()
	event, err := decode(raw(r.Body))
	if err != nil {
		return Permanent(err)
	}
	return recovered(func() error { return l.Apply(ctx, tx.Tx, event) })
}

// unmark makes events pending again that the transaction has marked and not handled.
func (in *Inbox) unmark(ctx context.Context, tx *database.Tx, l *registered, rest []row) error {
	ids := make([]string, len(rest))
	for i, r := range rest {
		ids[i] = r.EventID
	}
	among, arg := in.db.Among(`event_id`, ids)
	_, err := tx.Exec(ctx, `UPDATE inbox SET state = 'pending', done_at = NULL WHERE listener = ? AND `+among, l.Name, arg)
	return err
}
