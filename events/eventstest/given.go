// Package eventstest tests listeners and transports: given these events, then this state.
package eventstest

import (
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// SQLite opens a database for one test, with the tables of an inbox and the given ones; gone when the test ends.
func SQLite(t testing.TB, own ...listen.Tables) *sql.DB {
	t.Helper()
	pool, err := listen.OpenSQLite(filepath.Join(t.TempDir(), "listener.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	inbox, err := listen.Open(t.Context(), pool, listen.SQLite, nil, listen.Options{})
	if err == nil {
		err = inbox.Migrate(t.Context(), own...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// Events makes the events with which source announces these payloads about subject, one second apart, the first one at the given time.
func Events(source, subject string, at time.Time, payloads ...events.Payload) []events.Event {
	list := make([]events.Event, len(payloads))
	for i, payload := range payloads {
		event, err := events.New(source, subject, int64(i+1), at.Add(time.Duration(i)*time.Second), payload)
		if err != nil {
			panic(err) // a payload that is not JSON is a mistake in the test
		}
		list[i] = event
	}
	return list
}

// Given makes the listener handle these events and returns when all are done; the test then looks at the state. pool is what
// SQLite returned, or a database opened like it. Every event the listener wants is delivered twice, and the test fails if one is
// applied more than once, is not applied, or ends dead.
func Given(t testing.TB, pool *sql.DB, listener listen.Listener, given ...events.Event) {
	t.Helper()
	inbox, applied := handle(t, pool, listener, given)
	for _, event := range given {
		if !listener.Wants(event.Type) {
			continue
		}
		entry, err := inbox.Show(context.Background(), listener.Name, event.ID)
		switch {
		case err != nil:
			t.Fatal(err)
		case entry.State != "done":
			t.Fatalf("event %s (%s) is %s: %s", event.ID, event.Type, entry.State, entry.Reason)
		case applied[event.ID] != 1:
			t.Fatalf("event %s (%s) was applied %d times", event.ID, event.Type, applied[event.ID])
		}
	}
}

// GivenDead is Given for one event that must be dead after its first attempt; it returns the reason.
func GivenDead(t testing.TB, pool *sql.DB, listener listen.Listener, given events.Event) string {
	t.Helper()
	inbox, _ := handle(t, pool, listener, []events.Event{given})
	entry, err := inbox.Show(context.Background(), listener.Name, given.ID)
	if err != nil {
		t.Fatal(err)
	}
	if entry.State != "dead" {
		t.Fatalf("event %s (%s) is %s, not dead: %s", given.ID, given.Type, entry.State, entry.Reason)
	}
	return entry.Reason
}

// handle runs the listener until each event is done or has failed, and counts how often Apply or Effect succeeded on each.
func handle(t testing.TB, pool *sql.DB, listener listen.Listener, given []events.Event) (*listen.Inbox, map[string]int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var lock sync.Mutex
	applied := map[string]int{}
	count := func(e events.Event, err error) {
		lock.Lock()
		defer lock.Unlock()
		if err == nil {
			applied[e.ID]++
		}
	}
	if apply := listener.Apply; apply != nil {
		listener.Apply = func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
			err := apply(ctx, tx, e)
			count(e, err)
			return err
		}
	}
	if effect := listener.Effect; effect != nil {
		listener.Effect = func(ctx context.Context, e events.Event) (listen.Record, error) {
			record, err := effect(ctx, e)
			count(e, err)
			return record, err
		}
	}
	listener.Schedule = []time.Duration{} // a failure is final: it is what the test is to see
	inbox, err := listen.Open(ctx, pool, listen.SQLite, []listen.Listener{listener}, listen.Options{
		Poll: time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := inbox.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = inbox.Run(running) }()
	defer func() { stop(); <-ended }()
	for range 2 {
		messages := make([]listen.Message, len(given))
		for i, event := range given {
			if messages[i], err = listen.Encode(event); err != nil {
				t.Fatal(err)
			}
		}
		if err := inbox.Store(ctx, listener.Name, messages); err != nil {
			t.Fatal(err)
		}
		settle(ctx, t, inbox)
	}
	lock.Lock()
	defer lock.Unlock()
	return inbox, applied
}

// settle waits until nothing can move any more: what is pending either is done, or waits behind something dead.
func settle(ctx context.Context, t testing.TB, inbox *listen.Inbox) {
	t.Helper()
	for tick := time.NewTicker(2 * time.Millisecond); ; {
		stats, err := inbox.Stats(ctx)
		if err != nil {
			t.Fatalf("the events were not handled within %s: %v", patience, err)
		}
		if stats[0].Pending == 0 || stats[0].Dead > 0 {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the events were not handled within %s", patience)
		}
	}
}
