// Package outbox keeps the events of a service beside its state until they are published. Append writes an event in the
// transaction of the change it reports, so neither can be there without the other; the relay claims what is due, publishes it
// and marks it.
package outbox

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"time"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the tables a service's database needs for its outbox.
func Migrations() database.Migrations {
	return database.Embedded("outbox", files)
}

// Outbox is the outbox of one service.
type Outbox struct {
	db       *database.DB
	source   string
	given    func() time.Time // the clock that New was given; nil for the database's
	woken    chan struct{}
	lowWater *database.LowWater
}

// New returns the outbox in db; source is the service's name in its events. Times are by the clock of the database, or by now where a test
// gives one.
func New(db *database.DB, source string, now func() time.Time) *Outbox {
	return &Outbox{
		db: db, source: source, given: now, woken: make(chan struct{}, 1),
		lowWater: db.LowWater(`
			SELECT next_attempt_at FROM outbox WHERE published_at IS NULL
			ORDER BY next_attempt_at LIMIT (SELECT CAST(1 AS BIGINT))`),
	}
}

// DB is the database the outbox is in.
func (o *Outbox) DB() *database.DB { return o.db }

// Source is the service's name in its events.
func (o *Outbox) Source() string { return o.source }

// Now is the clock that the service's rows are stamped with: that of the database. It asks nothing; see DB.Now.
func (o *Outbox) Now() time.Time {
	if o.given != nil {
		return o.given()
	}
	return o.db.Now()
}

// Time is Now, and asks the database where its time is not known. Not for use in a transaction. Unavailable when it does not answer.
func (o *Outbox) Time(ctx context.Context) (time.Time, error) {
	if o.given != nil {
		return o.given(), nil
	}
	return o.db.Time(ctx)
}

// Woken receives after a transaction of this process that wrote events was committed. The caller must Claim from time to time, too:
// events of other processes, and those due again after a failure, do not wake it.
func (o *Outbox) Woken() <-chan struct{} { return o.woken }

// Append writes an event about subject with this payload, and with the subject's next sequence. Call it last in the
// transaction: from here to the commit, every other writer of the same subject waits.
func (o *Outbox) Append(ctx context.Context, tx *database.Tx, subject string, payload events.Payload) error {
	var next struct {
		Sequence int64         `db:"last"`
		At       database.Time `db:"at"`
	}
	// The time is taken where the order is: by the statement that the subject's writers wait for each other in.
	moment, given := o.db.Moment(o.given)
	if err := tx.Get(ctx, &next, `
		INSERT INTO outbox_sequences (subject, last) VALUES (?, 1)
		ON CONFLICT (subject) DO UPDATE SET last = outbox_sequences.last + 1
		RETURNING last, `+moment+` AS at`, subject, given); err != nil {
		return fmt.Errorf("take the next sequence of %s: %w", subject, err)
	}
	event, err := events.New(o.source, subject, next.Sequence, next.At.Time, payload)
	if err != nil {
		return err
	}
	body, err := json.Marshal(event)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO outbox (subject, sequence, event_id, event_type, body, created_at, next_attempt_at)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
		subject, next.Sequence, event.ID, event.Type, string(body), next.At, next.At); err != nil {
		return fmt.Errorf("write event %s: %w", event.ID, err)
	}
	tx.AfterCommit(o.wake)
	return nil
}

func (o *Outbox) wake() {
	select {
	case o.woken <- struct{}{}:
	default:
	}
}
