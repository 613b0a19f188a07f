// Package journal is the listener that keeps every event. The timeline of an order is read from it.
package journal

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"

	"github.com/jmoiron/sqlx"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the tables of the journal's database, its inbox included.
func Migrations() []database.Migrations {
	return []database.Migrations{{Set: "inbox", Files: listen.Migrations()}, database.Embedded("journal", files)}
}

// Journal is the log of all events.
type Journal struct{ db *database.DB }

// New returns the journal in db.
func New(db *database.DB) *Journal { return &Journal{db: db} }

// Subscription is the journal's: every event, also of a type that only a newer publisher knows, since the journal decodes none.
var Subscription = listen.Subscription{Name: "journal", UnknownTypes: true}

// Listener is the listener that writes the journal; it belongs in an inbox in the same database.
func (j *Journal) Listener() listen.Listener {
	return listen.Listener{Subscription: Subscription, Apply: record}
}

func record(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
	if _, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO journal (event_id, source, subject, sequence, event_type, occurred_at, data) VALUES (?, ?, ?, ?, ?, ?, ?)`),
		e.ID, e.Source, e.Subject, e.Sequence, e.Type, database.At(e.Time), string(e.Data)); err != nil {
		return fmt.Errorf("write event %s into the journal: %w", e.ID, err)
	}
	return nil
}

// Events returns every event about a subject, of every service, in the order the states were recorded. It is empty for
// an unknown subject; an event that is still on its way is not in it yet.
func (j *Journal) Events(ctx context.Context, subject string) ([]events.Event, error) {
	var rows []struct {
		EventID  string        `db:"event_id"`
		Source   string        `db:"source"`
		Subject  string        `db:"subject"`
		Sequence int64         `db:"sequence"`
		Type     string        `db:"event_type"`
		Time     database.Time `db:"occurred_at"`
		Data     string        `db:"data"`
	}
	if err := j.db.Select(ctx, &rows, `
		SELECT event_id, source, subject, sequence, event_type, occurred_at, data
		FROM journal WHERE subject = ? ORDER BY occurred_at, source, sequence`, subject); err != nil {
		return nil, fmt.Errorf("read the journal of %s: %w", subject, err)
	}
	recorded := make([]events.Event, len(rows))
	for i, r := range rows {
		recorded[i] = events.Event{
			ID: r.EventID, Source: r.Source, Subject: r.Subject, Sequence: r.Sequence, Type: r.Type, Time: r.Time.Time,
			Data: json.RawMessage(r.Data),
		}
	}
	return recorded, nil
}
