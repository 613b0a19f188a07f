package listen_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/eventstest"
	"example.com/orderly/events/listen"
)

// An event that waits for its next attempt is old and not due: a schedule of days must not look like workers that don't keep pace.
func TestWhatWaitsForItsNextAttemptIsNotDue(t *testing.T) {
	t.Parallel()
	beginning := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var passed atomic.Int64
	now := func() time.Time { return beginning.Add(time.Duration(passed.Load())) }
	busy := listen.Listener{
		Subscription: listen.Subscription{Name: "mails", Types: []string{events.OrderCompleted{}.EventType()}},
		Schedule:     []time.Duration{time.Hour},
		Effect:       func(context.Context, events.Event) (listen.Record, error) { return nil, errors.New("not now") },
	}
	inbox, err := listen.Open(t.Context(), eventstest.SQLite(t), listen.SQLite, []listen.Listener{busy}, listen.Options{Now: now, Poll: time.Millisecond})
	require.NoError(t, err)
	event := eventstest.Events("orders", "o-1", beginning, events.OrderCompleted{OrderID: "o-1"})[0]
	message, err := listen.Encode(event)
	require.NoError(t, err)
	require.NoError(t, inbox.Store(t.Context(), "mails", []listen.Message{message}))

	shows := func(oldest, due string) {
		t.Helper()
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(listen.Collector{inbox})
		require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
			# HELP orderly_inbox_due_seconds How long the event that is due for longest has waited for a worker.
			# TYPE orderly_inbox_due_seconds gauge
			orderly_inbox_due_seconds{listener="mails"} `+due+`
			# HELP orderly_inbox_oldest_seconds How long the oldest pending event has waited.
			# TYPE orderly_inbox_oldest_seconds gauge
			orderly_inbox_oldest_seconds{listener="mails"} `+oldest+`
		`), "orderly_inbox_due_seconds", "orderly_inbox_oldest_seconds"))
	}
	shows("0", "0")
	passed.Store(int64(10 * time.Minute))
	shows("600", "600")

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- inbox.Run(ctx) }()
	require.Eventually(t, func() bool {
		entry, err := inbox.Show(t.Context(), "mails", event.ID)
		return err == nil && entry.Attempts == 1
	}, 20*time.Second, time.Millisecond)
	stop()
	require.NoError(t, <-ended)
	passed.Store(int64(40 * time.Minute))
	shows("2400", "0")
	passed.Store(int64(90 * time.Minute))
	shows("5400", "1200")
}
