package outbox

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/orderly/internal/database"
)

// maxErrorLength bounds how much of an error message is stored.
const maxErrorLength = 500

// Pending is an event that has yet to be published, as it was written.
type Pending struct {
	ID       string `db:"event_id"`
	Subject  string `db:"subject"`
	Sequence int64  `db:"sequence"`
	Type     string `db:"event_type"`
	Body     string `db:"body"`
	// Attempts is how often publishing it has failed.
	Attempts int `db:"attempts"`
	// LeasedUntil is when other relays may claim the event. It also identifies the claim: once another relay has claimed the event, this
	// relay must not record an outcome.
	LeasedUntil database.Time `db:"next_attempt_at"`
	// Written is when the state it reports was recorded.
	Written database.Time `db:"created_at"`
}

// Claim takes up to limit due events for the caller to publish, oldest first and never two of one subject: a subject's next
// event can be claimed once the one before it is marked. No other relay can claim a claimed event until lease has passed since Claim was
// called. So the events of a relay that dies are published by another; a relay that outlives its lease publishes twice, which listeners
// expect.
func (o *Outbox) Claim(ctx context.Context, limit int, lease time.Duration) ([]Pending, error) {
	now, err := o.Time(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the time for a claim of %s: %w", o.source, err)
	}
	from, err := o.lowWater.Mark(ctx, now)
	if err != nil {
		return nil, fmt.Errorf("look for the oldest event of %s: %w", o.source, err)
	}
	var claimed []Pending
	// The claim has no cursor: rows become visible in another order than they were written in, and a relay that remembered how far it
	// had read would lose the late ones. The low-water mark is renewed, and finds them. A subject's sequence has no gaps and is
	// published in order, so only the event before has to be published already. PostgreSQL's plan must not depend on its statistics:
	// OFFSET 0 keeps it from turning the condition into a join, a limit it cannot know keeps it from reading and sorting all due
	// events, and the row's own address keeps it from finding the row through another index.
	err = o.db.ChangeAll(ctx, &claimed, `
		UPDATE outbox SET next_attempt_at = ?
		WHERE `+o.db.AmongFree(o.db.RowID(), `
		    SELECT `+o.db.RowID()+` FROM outbox
		    WHERE published_at IS NULL AND next_attempt_at BETWEEN ? AND ?
		      AND NOT EXISTS (
		          SELECT 1 FROM outbox AS earlier
		          WHERE earlier.subject = outbox.subject AND earlier.sequence = outbox.sequence - 1
		            AND `+database.Check(`earlier.published_at IS NULL`)+`
		          LIMIT 1 OFFSET 0)
		    ORDER BY next_attempt_at
		    LIMIT (SELECT CAST(? AS BIGINT))`)+`
		RETURNING event_id, subject, sequence, event_type, body, attempts, next_attempt_at, created_at`,
		database.At(now.Add(lease)), from, database.At(now), limit)
	if err != nil {
		return nil, fmt.Errorf("claim events of %s: %w", o.source, err)
	}
	slices.SortFunc(claimed, func(a, b Pending) int { return a.Written.Compare(b.Written.Time) })
	return claimed, nil
}

// MarkPublished records that the transport has taken over these events, all of one claim. Marking one twice changes nothing. An event
// that another relay has claimed since is not marked: otherwise the subject's next event could be published before the other relay
// publishes this one again.
func (o *Outbox) MarkPublished(ctx context.Context, published []Pending) error {
	if len(published) == 0 {
		return nil
	}
	ids := make([]string, len(published))
	for i, event := range published {
		ids[i] = event.ID
	}
	among, arg := o.db.Among(`event_id`, ids)
	moment, at := o.db.Moment(o.given)
	if _, err := o.db.Exec(ctx, `
		UPDATE outbox SET published_at = `+moment+`, last_error = ''
		WHERE `+among+` AND `+database.Check(`published_at IS NULL AND next_attempt_at = ?`),
		at, arg, published[0].LeasedUntil); err != nil {
		return fmt.Errorf("mark %d events of %s published: %w", len(published), o.source, err)
	}
	return nil
}

// Failed records why an event could not be published; it is due again after retryIn. Later events of its subject wait for it. It changes
// nothing when another relay has claimed the event since.
func (o *Outbox) Failed(ctx context.Context, event Pending, reason error, retryIn time.Duration) error {
	text := []rune(strings.ReplaceAll(reason.Error(), "\x00", "")) // PostgreSQL's TEXT takes neither NUL nor broken UTF-8
	if len(text) > maxErrorLength {
		text = text[:maxErrorLength]
	}
	if _, err := o.db.Exec(ctx, `
		UPDATE outbox SET attempts = attempts + 1, last_error = ?, next_attempt_at = ?
		WHERE event_id = ? AND `+database.Check(`published_at IS NULL AND next_attempt_at = ?`),
		string(text), database.At(o.Now().Add(retryIn)), event.ID, event.LeasedUntil); err != nil {
		return fmt.Errorf("record that event %s was not published: %w", event.ID, err)
	}
	return nil
}

// Backlog returns how many events wait to be published and when the oldest was written; the zero time if none waits.
func (o *Outbox) Backlog(ctx context.Context) (waiting int64, oldest time.Time, err error) {
	var row struct {
		Waiting int64         `db:"waiting"`
		Oldest  database.Time `db:"oldest"`
	}
	if err := o.db.Get(ctx, &row, `
		SELECT COUNT(*) AS waiting, MIN(created_at) AS oldest
		FROM outbox WHERE published_at IS NULL`); err != nil {
		return 0, time.Time{}, fmt.Errorf("measure the backlog of %s: %w", o.source, err)
	}
	return row.Waiting, row.Oldest.Time, nil
}

// Prune deletes up to limit events that were published longer ago than age and returns how many it deleted.
func (o *Outbox) Prune(ctx context.Context, age time.Duration, limit int) (int64, error) {
	now, err := o.Time(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask the time to prune the outbox of %s: %w", o.source, err)
	}
	deleted, err := o.db.Exec(ctx, `
		DELETE FROM outbox WHERE `+o.db.AmongFree(o.db.RowID(), `
		    SELECT `+o.db.RowID()+` FROM outbox WHERE published_at IS NOT NULL AND published_at < ?
		    ORDER BY published_at LIMIT (SELECT CAST(? AS BIGINT))`), database.At(now.Add(-age)), limit)
	if err != nil {
		return 0, fmt.Errorf("prune the outbox of %s: %w", o.source, err)
	}
	return deleted, nil
}
