package notifications_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/eventstest"
)

// at is an order's end that happened so long after the others.
func at(order string, later time.Duration) events.Event {
	return eventstest.Events("orders", order, happened.Add(later), events.OrderCompleted{
		OrderID: order, CustomerID: "ada", TotalMinor: 3000, Currency: "EUR",
	})[0]
}

// idFrom is the Message-ID of the mail about e, sent by a process whose mails come from this address.
func (w *world) idFrom(address string, e events.Event) string {
	w.t.Helper()
	var got kept
	_, err := w.serviceFrom(address, &got).Listener().Effect(w.t.Context(), e)
	require.NoError(w.t, err)
	require.Equal(w.t, address, got[0].From.Address)
	return got[0].ID
}

// start starts a process whose mails come from this address, so long after the world began.
func (w *world) start(address string, after time.Duration) {
	w.t.Helper()
	w.offset.Store(int64(after))
	require.NoError(w.t, w.serviceFrom(address, nil).RememberDomain(w.t.Context()))
}

func TestAMessageIDEndsInTheSendersDomain(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		w.start("shop@example.com", 0)
		w.start("shop@example.com", time.Minute)
		require.Equal(t, "orders.o-1.1@example.com", w.idFrom("shop@example.com", at("o-1", 0)), "an event from before the first start")
		require.Equal(t, "orders.o-2.1@example.com", w.idFrom("shop@example.com", at("o-2", 2*time.Hour)))
	})
}

// The mail about an event that was tried before, or sent and forgotten by the inbox, must be known as the same.
func TestAMailKeepsItsIDWhenTheSendersDomainChanges(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		// A release before this one has sent mails.
		_, err := w.db.Exec(t.Context(), `
			INSERT INTO mails (event_id, subject, template, sent_at) VALUES ('orders/o-0/1', 'o-0', 'order.completed', ?)`, start)
		require.NoError(t, err)
		w.start("shop@example.com", time.Hour)
		w.start("shop@new.example", 2*time.Hour)
		// The clock of one process is behind.
		w.start("shop@newer.example", time.Hour)
		w.start("shop@newer.example", 3*time.Hour)
		for order, want := range map[string]struct {
			after  time.Duration // counted from when the events of a world happen, an hour before it begins
			domain string
		}{
			"o-1": {0, "orderly"},
			"o-2": {2*time.Hour - time.Microsecond, "orderly"},
			"o-3": {2 * time.Hour, "example.com"},
			"o-4": {3*time.Hour - time.Microsecond, "example.com"},
			"o-5": {3*time.Hour + time.Second, "newer.example"},
			"o-6": {100 * time.Hour, "newer.example"},
		} {
			for _, address := range []string{"shop@example.com", "shop@newer.example"} {
				require.Equal(t, "orders."+order+".1@"+want.domain, w.idFrom(address, at(order, want.after)), "a process whose mails come from %s", address)
			}
		}
	})
}

// So has one that has only received events: they may have been tried.
func TestAnInboxWithEventsWasUsedBefore(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	sender, _ := folder(t)
	event := at("o-1", 0)
	_, stop := w.run(w.service(sender), event)
	stop()
	w.start("shop@example.com", time.Hour)
	require.Equal(t, "orders.o-1.1@orderly", w.idFrom("shop@example.com", event))
}
