package listen_test

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/testenv"
)

// schema is the listener's own table; without a key, so that a second application shows.
var schema = database.Migrations{Set: "applied", Files: fstest.MapFS{"00001_applied.sql": {Data: []byte(`
-- +goose Up
CREATE TABLE applied (listener TEXT NOT NULL, event_id TEXT NOT NULL);
`)}}}

var inboxTables = database.Migrations{Set: "inbox", Files: listen.Migrations()}

type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(c.offset.Load()))
}

func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// world is a listener's database with a clock; each inbox opened on it stands for a process.
type world struct {
	t     *testing.T
	db    *database.DB
	clock *clock
	log   *slog.Logger
	// stopping is called once run's context has ended.
	stopping func()
}

func eachEngine(t *testing.T, test func(t *testing.T, w *world)) {
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		test(t, &world{
			t: t, db: open("shop", inboxTables, schema), clock: &clock{},
			log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
	})
}

func (w *world) open(listeners ...listen.Listener) *listen.Inbox {
	w.t.Helper()
	inbox, err := listen.Open(w.t.Context(), w.db.Pool(), string(w.db.Engine()), listeners, listen.Options{
		Now: w.clock.now, Log: w.log, Poll: 5 * time.Millisecond, Grace: 100 * time.Millisecond,
		Schedule: []time.Duration{time.Second, time.Minute},
	})
	require.NoError(w.t, err)
	return inbox
}

// run runs the inbox until stop is called or the test ends.
func (w *world) run(inbox *listen.Inbox) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- inbox.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if w.stopping != nil {
			w.stopping()
		}
		require.NoError(w.t, <-ended)
	})
	w.t.Cleanup(stop)
	return stop
}

func (w *world) eventually(condition func() bool, what string, args ...any) {
	w.t.Helper()
	require.Eventuallyf(w.t, condition, 20*time.Second, 5*time.Millisecond, what, args...)
}

func (w *world) state(inbox *listen.Inbox, listener, id string) listen.Entry {
	w.t.Helper()
	entry, err := inbox.Show(w.t.Context(), listener, id)
	require.NoError(w.t, err)
	return entry
}

func (w *world) becomes(inbox *listen.Inbox, listener, id, state string) {
	w.t.Helper()
	w.eventually(func() bool { return w.state(inbox, listener, id).State == state }, "%s to become %s", id, state)
}

// applied is what the listener's table holds, in the order the database gives it.
func (w *world) applied(listener string) []string {
	w.t.Helper()
	ids := []string{}
	require.NoError(w.t, w.db.Select(w.t.Context(), &ids, `SELECT event_id FROM applied WHERE listener = ?`, listener))
	return ids
}

// apply writes the event into the table applied.
func apply(listener string) func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
	return func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`INSERT INTO applied (listener, event_id) VALUES (?, ?)`), listener, e.ID)
		return err
	}
}

// recordOf is apply as an Effect returns it.
func recordOf(listener string, e events.Event) listen.Record {
	return func(ctx context.Context, tx *sqlx.Tx) error { return apply(listener)(ctx, tx, e) }
}

func message(t testing.TB, subject string, sequence int64) listen.Message {
	t.Helper()
	event, err := events.New("orders", subject, sequence, time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC),
		events.OrderResumed{OrderID: subject, Step: "capture"})
	require.NoError(t, err)
	encoded, err := listen.Encode(event)
	require.NoError(t, err)
	return encoded
}

func messages(t testing.TB, subject string, upTo int64) []listen.Message {
	t.Helper()
	var list []listen.Message
	for sequence := int64(1); sequence <= upTo; sequence++ {
		list = append(list, message(t, subject, sequence))
	}
	return list
}
