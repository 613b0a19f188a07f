package journal_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/eventstest"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/journal"
	"example.com/orderly/internal/testenv"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

func TestTheJournalHoldsEveryEventOnceInTheOrderOfTheirTimes(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx := t.Context()
		db := open("journal", journal.Migrations()...)
		book := journal.New(db)
		inbox, err := listen.Open(ctx, db.Pool(), string(db.Engine()), []listen.Listener{book.Listener()},
			listen.Options{Poll: 5 * time.Millisecond})
		require.NoError(t, err)
		running, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() { defer close(ended); _ = inbox.Run(running) }()
		t.Cleanup(func() { stop(); <-ended })

		given := eventstest.Events("orders", "o1", start, events.OrderCreated{OrderID: "o1"}, events.OrderConfirmed{OrderID: "o1"})
		given = append(given, eventstest.Events("payments", "o1", start.Add(500*time.Millisecond), events.PaymentAuthorized{OrderID: "o1"})...)
		given = append(given, eventstest.Events("orders", "o2", start, events.OrderCreated{OrderID: "o2"})...)
		for range 2 {
			for _, event := range given {
				message, err := listen.Encode(event)
				require.NoError(t, err)
				require.NoError(t, inbox.Store(ctx, "journal", []listen.Message{message}))
			}
		}
		require.Eventually(t, func() bool {
			stats, err := inbox.Stats(ctx)
			return err == nil && stats[0].Pending == 0
		}, 20*time.Second, 5*time.Millisecond)

		entries, err := book.Events(ctx, "o1")
		require.NoError(t, err)
		var types []string
		for _, entry := range entries {
			types = append(types, entry.Type)
		}
		require.Equal(t, []string{"order.created.v1", "payment.authorized.v1", "order.confirmed.v1"}, types)
		require.Equal(t, start, entries[0].Time)
		require.JSONEq(t, string(given[0].Data), string(entries[0].Data))

		entries, err = book.Events(ctx, "unknown")
		require.NoError(t, err)
		require.Empty(t, entries)
	})
}

// During an upgrade a publisher may be newer than the journal. What it sends is recorded as it is, and what follows is not held back.
func TestTheJournalRecordsTypesOfANewerPublisher(t *testing.T) {
	t.Parallel()
	db := testenv.SQLite(t, "journal", journal.Migrations()...)
	book := journal.New(db)
	given := eventstest.Events("orders", "o1", start, events.OrderCreated{OrderID: "o1"}, events.OrderConfirmed{OrderID: "o1"},
		events.OrderCompleted{OrderID: "o1"})
	given[1].Type, given[1].Data = "order.gift_wrapped.v1", json.RawMessage(`{"order_id":"o1","paper":["blue"]}`)
	given[2].Type, given[2].Data = "order.rated.v2", json.RawMessage(`[1]`)
	eventstest.Given(t, db.Pool(), book.Listener(), given...)
	entries, err := book.Events(t.Context(), "o1")
	require.NoError(t, err)
	require.Len(t, entries, 3)
	for i, entry := range entries {
		require.Equal(t, given[i].Type, entry.Type)
		require.JSONEq(t, string(given[i].Data), string(entry.Data))
	}
}

func TestTheJournalTakesEveryTypeOfTheCatalogue(t *testing.T) {
	t.Parallel()
	db := testenv.SQLite(t, "journal", journal.Migrations()...)
	book := journal.New(db)
	eventstest.Given(t, db.Pool(), book.Listener(), eventstest.Events("orders", "o1", start, events.Catalogue()...)...)
	entries, err := book.Events(t.Context(), "o1")
	require.NoError(t, err)
	require.Len(t, entries, len(events.Catalogue()))
}
