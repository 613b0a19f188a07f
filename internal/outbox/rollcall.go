package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"example.com/orderly/internal/database"
)

const (
	// rollCallPage is how many published events one roll call looks at.
	rollCallPage = 500
	// longestGap is how far the confirmed time falls behind while nothing is published, before it is written anew.
	longestGap = time.Hour
)

// Periods are how roll calls are timed.
type Periods struct {
	// Every is the pause between two calls to a listener that has answered.
	Every time.Duration
	// Settle is how long ago an event must have been marked published to be asked about. It is longer than a mark takes to be committed,
	// so that no event is marked with a time that was asked about before.
	Settle time.Duration
	// Patience is how long an answer is waited for before the call is repeated: a broker that was made anew has lost one or the other.
	Patience time.Duration
	// Kept is how long published events are kept. It must be shorter than inboxes remember events: an older one could be applied twice.
	Kept time.Duration
}

// RollCalls keeps, in an outbox's database, which published events each listener is known to have. Several relays may share it.
type RollCalls struct {
	box     *Outbox
	periods Periods
}

// NewRollCalls returns the roll calls of box.
func NewRollCalls(box *Outbox, periods Periods) *RollCalls {
	return &RollCalls{box: box, periods: periods}
}

// RollCall is a window of published events that a listener is to be asked about.
type RollCall struct {
	Listener string
	// Until is the window's end. It names the window in the answer.
	Until time.Time
	// Events are those published in the window.
	Events []Published
	// Unasked is since when events may be missing that are kept no longer; the zero time where there are none.
	Unasked time.Time

	seen  rollCallRow
	after time.Time
}

// Published is an event that was published.
type Published struct {
	ID   string        `db:"event_id"`
	Type string        `db:"event_type"`
	At   database.Time `db:"published_at"`
}

type rollCallRow struct {
	Listener  string        `db:"listener"`
	Confirmed database.Time `db:"confirmed_until"`
	Called    database.Time `db:"called_until"`
	Next      database.Time `db:"next_call_at"`
}

// Due returns what the listener is to be asked about now, and false when there is nothing to do. For a listener that is seen for the first
// time it notes down the present time: it is not asked about earlier events.
func (r *RollCalls) Due(ctx context.Context, listener string) (RollCall, bool, error) {
	now, err := r.box.Time(ctx)
	if err != nil {
		return RollCall{}, false, err
	}
	row, err := r.row(ctx, listener, now)
	if err != nil || row.Next.After(now) {
		return RollCall{}, false, err
	}
	call := RollCall{Listener: listener, seen: row, after: row.Confirmed.Time, Until: now.Add(-r.periods.Settle)}
	if !row.Called.IsZero() {
		call.Until = row.Called.Time // the same window, so that an answer to the call before is one to this, too
	}
	if kept := now.Add(-r.periods.Kept); call.after.Before(kept) {
		call.Unasked, call.after = call.after, kept
		if !call.Until.After(kept) {
			call.Until = now.Add(-r.periods.Settle)
		}
	}
	call.Until = database.At(call.Until).Time
	if !call.Until.After(call.after) {
		return RollCall{}, false, nil
	}
	if err := r.read(ctx, &call); err != nil {
		return RollCall{}, false, err
	}
	return call, len(call.Events) > 0 || !row.Called.IsZero() || call.Until.Sub(row.Confirmed.Time) > longestGap, nil
}

func (r *RollCalls) row(ctx context.Context, listener string, at time.Time) (row rollCallRow, err error) {
	err = r.box.db.Get(ctx, &row, `
		SELECT listener, confirmed_until, called_until, next_call_at FROM outbox_roll_calls WHERE listener = ?`, listener)
	if errors.Is(err, sql.ErrNoRows) {
		now := database.At(at)
		row = rollCallRow{Listener: listener, Confirmed: now, Next: now}
		_, err = r.box.db.Exec(ctx, `
			INSERT INTO outbox_roll_calls (listener, confirmed_until, next_call_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, listener, now, now)
	}
	if err != nil {
		return row, fmt.Errorf("read how far listener %s has answered %s: %w", listener, r.box.source, err)
	}
	return row, nil
}

// read reads the window's events, and sets its end earlier where there are more than a page. Events that were marked at one moment stay
// together, however many they are.
func (r *RollCalls) read(ctx context.Context, call *RollCall) error {
	for limit := rollCallPage; ; limit *= 4 {
		var found []Published
		if err := r.box.db.Select(ctx, &found, `
			SELECT event_id, event_type, published_at FROM outbox
			WHERE published_at IS NOT NULL AND published_at > ? AND published_at <= ?
			ORDER BY published_at LIMIT (SELECT CAST(? AS BIGINT))`,
			database.At(call.after), database.At(call.Until), limit+1); err != nil {
			return fmt.Errorf("read what %s published: %w", r.box.source, err)
		}
		whole := len(found)
		if whole > limit {
			for whole = limit; whole > 0 && found[whole-1].At.Equal(found[limit].At.Time); whole-- {
			}
			if whole == 0 {
				continue
			}
			call.Until = found[whole-1].At.Time
		}
		call.Events = found[:whole]
		return nil
	}
}

// Claim takes the call for the caller to make; false when another relay has taken it, or an answer has come. While no answer comes it is
// due again after Patience.
func (r *RollCalls) Claim(ctx context.Context, call *RollCall) (bool, error) {
	next := database.At(r.box.Now().Add(r.periods.Patience))
	claimed, err := r.move(ctx, call, `called_until = ?, next_call_at = ?`, database.At(call.Until), next)
	call.seen.Next, call.seen.Called = next, database.At(call.Until)
	return claimed, err
}

// Skip confirms a window in which there is nothing to ask about. It changes nothing when another relay has changed the row since.
func (r *RollCalls) Skip(ctx context.Context, call *RollCall) (bool, error) {
	return r.move(ctx, call, `confirmed_until = ?, called_until = NULL, next_call_at = ?`, database.At(call.Until), r.nextCall(call.Until))
}

// GiveBack makes a claimed call that could not be made due again soon.
func (r *RollCalls) GiveBack(ctx context.Context, call *RollCall) error {
	_, err := r.move(ctx, call, `next_call_at = ?`, database.At(r.box.Now().Add(r.periods.Every)))
	return err
}

// move changes the row of the call if it is as it was seen. A window that leaves out what is kept no longer begins later than the row says.
func (r *RollCalls) move(ctx context.Context, call *RollCall, change string, values ...any) (bool, error) {
	changed, err := r.box.db.Exec(ctx, `
		UPDATE outbox_roll_calls SET `+change+`
		WHERE listener = ? AND next_call_at = ? AND confirmed_until = ?`,
		append(values, call.Listener, call.seen.Next, call.seen.Confirmed)...)
	if err != nil {
		return false, fmt.Errorf("note down the roll call of %s to listener %s: %w", r.box.source, call.Listener, err)
	}
	return changed == 1, nil
}

// Waits reports whether an answer about the window that ends at until is still waited for.
func (r *RollCalls) Waits(ctx context.Context, listener string, until time.Time) (waits bool, err error) {
	if err := r.box.db.Get(ctx, &waits, `
		SELECT EXISTS (SELECT 1 FROM outbox_roll_calls WHERE listener = ? AND called_until = ?)`, listener, database.At(until)); err != nil {
		return false, fmt.Errorf("look up the roll call of %s to listener %s: %w", r.box.source, listener, err)
	}
	return waits, nil
}

// Confirm notes down that the listener has every event up to until; false when no answer about this window is waited for. Idempotent.
func (r *RollCalls) Confirm(ctx context.Context, listener string, until time.Time) (bool, error) {
	changed, err := r.box.db.Exec(ctx, `
		UPDATE outbox_roll_calls SET confirmed_until = called_until, called_until = NULL, next_call_at = ?
		WHERE listener = ? AND called_until = ?`, r.nextCall(until), listener, database.At(until))
	if err != nil {
		return false, fmt.Errorf("note down the answer of listener %s to %s: %w", listener, r.box.source, err)
	}
	return changed == 1, nil
}

// CallAgain makes the call about the window that ends at until due again soon, because its answer could not be worked off.
func (r *RollCalls) CallAgain(ctx context.Context, listener string, until time.Time) error {
	if _, err := r.box.db.Exec(ctx, `
		UPDATE outbox_roll_calls SET next_call_at = ? WHERE listener = ? AND called_until = ?`,
		database.At(r.box.Now().Add(r.periods.Every)), listener, database.At(until)); err != nil {
		return fmt.Errorf("repeat the roll call of %s to listener %s: %w", r.box.source, listener, err)
	}
	return nil
}

// nextCall is when to ask about what follows a window: at once where more than the usual pause has been published since.
func (r *RollCalls) nextCall(until time.Time) database.Time {
	next := until.Add(r.periods.Settle + r.periods.Every)
	if now := r.box.Now(); next.Before(now) {
		next = now
	}
	return database.At(next)
}

// Published returns those of these events that were published and are kept, in the order of their subjects' sequences.
func (r *RollCalls) Published(ctx context.Context, ids []string) ([]Pending, error) {
	among, arg := r.box.db.Among(`event_id`, ids)
	var found []Pending
	if err := r.box.db.Select(ctx, &found, `
		SELECT event_id, subject, sequence, event_type, body, attempts, next_attempt_at, created_at FROM outbox
		WHERE `+among+` AND `+database.Check(`published_at IS NOT NULL AND published_at > ?`)+`
		ORDER BY subject, sequence`, arg, database.At(r.box.Now().Add(-r.periods.Kept))); err != nil {
		return nil, fmt.Errorf("read %d events of %s: %w", len(ids), r.box.source, err)
	}
	return found, nil
}
