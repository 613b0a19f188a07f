package listen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/jmoiron/sqlx"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
)

// errOvertaken means that the lease ended while this attempt ran, and that another one has claimed the event since, or finished it.
var errOvertaken = errors.New("another attempt has taken over the event")

// attempt handles one claimed event and writes down what became of it. It returns an error only when that could not be written:
// then the event stays claimed until its lease ends.
func (in *Inbox) attempt(ctx context.Context, l *registered, r row) error {
	return in.finish(ctx, l, r, in.handle(ctx, l, r))
}

// finish writes down what became of one attempt at one event.
func (in *Inbox) finish(ctx context.Context, l *registered, r row, err error) error {
	switch {
	case err == nil:
		l.done.Add(1)
		return nil
	case errors.Is(err, errOvertaken):
		return nil
	case errors.Is(context.Cause(ctx), errStopping):
		return in.release(ctx, []row{r})
	}
	l.failed.Add(1)
	return in.fail(ctx, l, r, err)
}

func (in *Inbox) handle(ctx context.Context, l *registered, r row) error {
	ctx, cancel := context.WithTimeout(ctx, l.Timeout)
	defer cancel()
	event, err := decode(raw(r.Body))
	if err != nil {
		return Permanent(err)
	}
	record, err := l.act(ctx, event)
	if err != nil {
		return err
	}
	// The mark and what record does are one commit, and the mark comes first: its row lock makes a second attempt that runs at
	// the same moment wait, and then find the event done, before it has written anything. next_attempt_at says whose claim it is: what another
	// worker has claimed since is left to that one, or the subject's next event could begin while this one is still being handled.
	return in.db.InTx(ctx, func(tx *database.Tx) error {
		moment, at := in.db.Moment(in.options.Now)
		marked, err := tx.Exec(ctx, `
			UPDATE inbox SET state = 'done', done_at = `+moment+`, reason = ''
			WHERE listener = ? AND event_id = ? AND `+database.Check(`state = 'pending' AND next_attempt_at = ?`),
			at, r.Listener, r.EventID, r.NextAttempt)
		if err != nil {
			return err
		}
		if marked != 1 {
			return errOvertaken
		}
		if record == nil {
			return nil
		}
		return recovered(func() error { return record(ctx, tx.Tx) })
	})
}

// act runs the listener's Effect, and returns what is to run in the transaction: the Record that the Effect returned, or Apply.
func (l *registered) act(ctx context.Context, event events.Event) (record Record, err error) {
	if l.Effect == nil {
		return func(ctx context.Context, tx *sqlx.Tx) error { return l.Apply(ctx, tx, event) }, nil
	}
	err = recovered(func() error {
		record, err = l.Effect(ctx, event)
		return err
	})
	return record, err
}

// fail sets the next attempt, or the end. An attempt that was overtaken sets neither: the event is being handled, or was.
func (in *Inbox) fail(ctx context.Context, l *registered, r row, reason error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	now := in.now()
	attempts, state, next := r.Attempts+1, "dead", now
	if !isPermanent(reason) && attempts <= len(l.Schedule) {
		state, next = "pending", now.Add(l.Schedule[attempts-1])
	}
	text := clean(reason.Error())
	if text == "" {
		text = "the handler failed without saying why"
	}
	changed, err := in.db.Exec(ctx, `
		UPDATE inbox SET state = ?, attempts = ?, next_attempt_at = ?, reason = ?
		WHERE listener = ? AND event_id = ? AND `+database.Check(`state = 'pending' AND next_attempt_at = ?`),
		state, attempts, database.At(next), text, r.Listener, r.EventID, r.NextAttempt)
	if err != nil {
		return fmt.Errorf("record that listener %s failed on event %s: %w", l.Name, r.EventID, err)
	}
	if changed == 0 {
		return nil
	}
	level, message := slog.LevelWarn, "listener failed, will try again"
	if state == "dead" {
		level, message = slog.LevelError, "listener gave up on an event"
	}
	in.options.Log.Log(ctx, level, message, "listener", l.Name, "event_id", r.EventID, "event_type", r.Type,
		"order_id", orderID(r), "attempts", attempts, "error", reason)
	return nil
}

// orderID is the order the event is about, by its data; empty where it is about something else.
func orderID(r row) string {
	var about struct {
		OrderID string `json:"order_id"`
	}
	if event, err := decode(raw(r.Body)); err == nil {
		_ = json.Unmarshal(event.Data, &about)
	}
	return about.OrderID
}

// recovered turns a panic of a handler into its failure: it must not end the process, in which other listeners run, too.
func recovered(handler func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return handler()
}
