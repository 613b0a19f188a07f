package local_test

import (
	"context"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/eventstest"
	"example.com/orderly/events/listen"
	"example.com/orderly/events/local"
)

func TestTransport(t *testing.T) {
	t.Parallel()
	eventstest.Transport(t, func(t *testing.T, inboxes ...*listen.Inbox) eventstest.Running {
		transport, err := local.New(inboxes...)
		require.NoError(t, err)
		return eventstest.Running{Publish: transport.Publish, Stop: func() {}}
	})
}

func nothing(context.Context, *sqlx.Tx, events.Event) error { return nil }

func TestNilMeansThatEveryListenerHasIt(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	up, down := eventstest.SQLite(t), eventstest.SQLite(t)
	open := func(listener listen.Listener) *listen.Inbox {
		pool := up
		if listener.Name == "mail" {
			pool = down
		}
		inbox, err := listen.Open(ctx, pool, listen.SQLite, []listen.Listener{listener}, listen.Options{})
		require.NoError(t, err)
		require.NoError(t, inbox.Migrate(ctx))
		return inbox
	}
	journal := open(listen.Listener{Subscription: listen.Subscription{Name: "journal"}, Apply: nothing})
	mail := open(listen.Listener{Subscription: listen.Subscription{Name: "mail", Types: []string{"order.parked.v1"}}, Apply: nothing})
	transport, err := local.New(journal, mail)
	require.NoError(t, err)

	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var messages []listen.Message
	for _, event := range append(
		eventstest.Events("orders", "a", at, events.OrderResumed{OrderID: "a"}),
		eventstest.Events("orders", "b", at, events.OrderParked{OrderID: "b"})...) {
		message, err := listen.Encode(event)
		require.NoError(t, err)
		messages = append(messages, message)
	}
	_, err = down.ExecContext(ctx, `ALTER TABLE inbox RENAME TO out_of_reach`)
	require.NoError(t, err)
	results := transport.Publish(ctx, messages)
	require.NoError(t, results[0], "a listener that does not want the event kept it back")
	require.Error(t, results[1], "an event counts as published that a listener does not have")
	_, err = journal.Show(ctx, "journal", "orders/b/1")
	require.NoError(t, err, "the listener whose database is up was kept waiting")

	_, err = down.ExecContext(ctx, `ALTER TABLE out_of_reach RENAME TO inbox`)
	require.NoError(t, err)
	require.Equal(t, []error{nil, nil}, transport.Publish(ctx, messages))
	_, err = mail.Show(ctx, "mail", "orders/b/1")
	require.NoError(t, err)
	_, err = mail.Show(ctx, "mail", "orders/a/1")
	require.ErrorIs(t, err, listen.ErrNotFound)
}

func TestNewRefusesTwoListenersOfOneName(t *testing.T) {
	t.Parallel()
	open := func() *listen.Inbox {
		inbox, err := listen.Open(t.Context(), eventstest.SQLite(t), listen.SQLite,
			[]listen.Listener{{Subscription: listen.Subscription{Name: "journal"}, Apply: nothing}}, listen.Options{})
		require.NoError(t, err)
		return inbox
	}
	_, err := local.New(open(), open())
	require.ErrorContains(t, err, `two listeners are called "journal"`)
}
