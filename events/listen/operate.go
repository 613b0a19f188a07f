package listen

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"example.com/orderly/internal/database"
)

// ErrNotFound means that the inbox has no such event, or none that is dead where a dead one is asked for.
var ErrNotFound = errors.New("no such event in the inbox")

// Entry is one event in a listener's inbox.
type Entry struct {
	Listener, EventID, Source, Subject, Type string
	Sequence                                 int64
	// State is "pending", "done" or "dead".
	State    string
	Attempts int
	// Reason is the last failure; of a dropped event, that it was dropped.
	Reason                      string
	Received, NextAttempt, Done time.Time
	Body                        []byte
}

func (r row) entry() Entry {
	return Entry{
		Listener: r.Listener, EventID: r.EventID, Source: r.Source, Subject: r.Subject, Type: r.Type, Sequence: r.Sequence,
		State: r.State, Attempts: r.Attempts, Reason: r.Reason, Received: r.Received.Time, NextAttempt: r.NextAttempt.Time,
		Done: r.Done.Time, Body: raw(r.Body),
	}
}

// Dead lists up to limit dead events of a listener, the ones received first at the top.
func (in *Inbox) Dead(ctx context.Context, listener string, limit int) ([]Entry, error) {
	var rows []row
	// SQLite reads the partial index inbox_unfinished only for a query that repeats the index's own condition.
	if err := in.db.Select(ctx, &rows, `
		SELECT listener, event_id, source, subject, sequence, event_type, body, state, attempts, next_attempt_at, reason,
		    received_at, done_at
		FROM inbox WHERE listener = ? AND state IN ('pending', 'dead') AND state = 'dead'
		ORDER BY received_at, event_id LIMIT ?`,
		listener, limit); err != nil {
		return nil, fmt.Errorf("list the dead events of listener %s: %w", listener, err)
	}
	entries := make([]Entry, len(rows))
	for i, r := range rows {
		entries[i] = r.entry()
	}
	return entries, nil
}

// Show returns one event of a listener, in any state; ErrNotFound when it was never received or is pruned.
func (in *Inbox) Show(ctx context.Context, listener, eventID string) (Entry, error) {
	r, err := in.read(ctx, in.db.Get, listener, eventID)
	return r.entry(), err
}

func (in *Inbox) read(ctx context.Context, get database.Getter, listener, eventID string) (row, error) {
	var r row
	err := get(ctx, &r, `
		SELECT listener, event_id, source, subject, sequence, event_type, body, state, attempts, next_attempt_at, reason,
		    received_at, done_at
		FROM inbox WHERE listener = ? AND event_id = ?`, listener, eventID)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return row{}, fmt.Errorf("read event %s of listener %s: %w", eventID, listener, err)
	}
	return r, nil
}

// Replay makes a dead event pending again, as if it had just arrived: its attempts are counted from zero, and it is decoded anew, so that a
// message which an older version could not decode is handled. ErrNotFound when there is no such dead event.
func (in *Inbox) Replay(ctx context.Context, listener, eventID string) error {
	l := in.listener(listener)
	if l == nil {
		return fmt.Errorf("replay event %s: this inbox has no listener %q", eventID, listener)
	}
	now, err := in.Now(ctx)
	if err != nil {
		return fmt.Errorf("ask the time to replay event %s of listener %s: %w", eventID, listener, err)
	}
	err = in.db.InTx(ctx, func(tx *database.Tx) error {
		r, err := in.read(ctx, tx.Get, listener, eventID)
		if err != nil {
			return err
		}
		removed, err := tx.Exec(ctx, `
			DELETE FROM inbox WHERE listener = ? AND event_id = ? AND `+database.Check(`state = 'dead'`), listener, eventID)
		if err != nil {
			return err
		}
		if removed != 1 {
			return fmt.Errorf("event %s of listener %s is not dead: %w", eventID, listener, ErrNotFound)
		}
		again := in.rows(l, now, []Message{{ID: r.EventID, Type: r.Type, Body: raw(r.Body)}})
		for _, a := range again {
			if a.State == "dead" {
				return fmt.Errorf("still not usable: %s", a.Reason)
			}
		}
		return insert(ctx, tx.Exec, again)
	})
	if err != nil {
		return fmt.Errorf("replay event %s of listener %s: %w", eventID, listener, err)
	}
	l.wake()
	return nil
}

// Drop gives up on a dead event for good: it counts as done, keeps its reason, and no longer holds back later ones. ErrNotFound
// when there is no such dead event.
func (in *Inbox) Drop(ctx context.Context, listener, eventID string) error {
	moment, at := in.db.Moment(in.options.Now)
	changed, err := in.db.Exec(ctx, `
		UPDATE inbox SET state = 'done', done_at = `+moment+`, reason = 'dropped: ' || reason
		WHERE listener = ? AND event_id = ? AND `+database.Check(`state = 'dead'`), at, listener, eventID)
	if err == nil && changed == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("drop event %s of listener %s: %w", eventID, listener, err)
	}
	if l := in.listener(listener); l != nil {
		l.wake()
	}
	return nil
}

// Stat counts a listener's events.
type Stat struct {
	Listener string
	// Pending and Dead are what the table holds now; Oldest is when the first of the pending arrived, zero when none waits.
	Pending, Dead int64
	Oldest        time.Time
	// Due is when the first of the pending was due, or will be: long ago where the workers do not keep pace, or where it is behind another
	// of its subject; zero when none waits.
	Due time.Time
	// Done and Failed count attempts of this process since it opened the inbox.
	Done, Failed int64
}

// Stats returns the Stat of each listener of the inbox, in the order they were given to Open.
func (in *Inbox) Stats(ctx context.Context) ([]Stat, error) {
	var rows []struct {
		Listener string        `db:"listener"`
		State    string        `db:"state"`
		Events   int64         `db:"events"`
		Oldest   database.Time `db:"oldest"`
		Due      database.Time `db:"due"`
	}
	// Done events are not counted here: there are as many as the window of Prune is long.
	if err := in.db.Select(ctx, &rows, `
		SELECT listener, state, COUNT(*) AS events, MIN(received_at) AS oldest, MIN(next_attempt_at) AS due
		FROM inbox WHERE state IN ('pending', 'dead') GROUP BY listener, state`); err != nil {
		return nil, fmt.Errorf("count the inbox: %w", err)
	}
	stats := make([]Stat, len(in.listeners))
	for i, l := range in.listeners {
		stats[i] = Stat{Listener: l.Name, Done: l.done.Load(), Failed: l.failed.Load()}
		for _, r := range rows {
			switch {
			case r.Listener != l.Name:
			case r.State == "pending":
				stats[i].Pending, stats[i].Oldest, stats[i].Due = r.Events, r.Oldest.Time, r.Due.Time
			default:
				stats[i].Dead = r.Events
			}
		}
	}
	return stats, nil
}

// Statements is how many SQL statements the inbox has run since it was opened, without those that Apply ran.
func (in *Inbox) Statements() int64 { return in.db.Statements() }

// Transactions is how many transactions the inbox has begun since it was opened.
func (in *Inbox) Transactions() int64 { return in.db.Transactions() }

// Prune deletes up to limit events that were done before the given time, by the clock of Now, and returns how many it deleted. A pruned event that is
// delivered again is applied again, so the window must be longer than any redelivery.
func (in *Inbox) Prune(ctx context.Context, before time.Time, limit int) (int64, error) {
	deleted, err := in.db.Exec(ctx, `
		DELETE FROM inbox WHERE `+in.db.AmongFree(in.db.RowID(), `
		    SELECT `+in.db.RowID()+` FROM inbox WHERE state = 'done' AND done_at < ?
		    ORDER BY done_at LIMIT (SELECT CAST(? AS BIGINT))`), database.At(before), limit)
	if err != nil {
		return 0, fmt.Errorf("prune the inbox: %w", err)
	}
	return deleted, nil
}
