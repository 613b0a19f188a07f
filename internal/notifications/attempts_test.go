package notifications_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/eventstest"
	"example.com/orderly/internal/notifications/smtp/smtptest"
)

// A mail server that is down for a night, or longer, loses no mail.
func TestAMailIsTriedForDays(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	server := smtptest.New(t)
	server.Answer("greeting", "421 4.3.2 down for the night")
	event := completed("o-1", "ada")
	service := w.service(over(t, server))
	inbox, _ := w.run(service, event)
	var waited, longest time.Duration
	waits := service.Listener().Schedule
	for failures, wait := range waits {
		w.reaches(inbox, event, "pending", failures+1)
		waited += wait
		longest = max(longest, wait)
		w.offset.Store(int64(waited))
	}
	entry := w.reaches(inbox, event, "dead", len(waits)+1)
	require.Contains(t, entry.Reason, "421 4.3.2 (down for the night)")
	require.Equal(t, 77, entry.Attempts)
	require.Equal(t, 71*time.Hour+51*time.Minute+10*time.Second, waited)
	require.Equal(t, time.Hour, longest, "a server that is back gets a mail within this time")
	require.IsNonDecreasing(t, waits)
	require.Empty(t, server.Mails())

	server.Answer("greeting", "")
	require.NoError(t, inbox.Replay(t.Context(), "notifications", event.ID))
	w.reaches(inbox, event, "done", 0)
	require.Len(t, server.Mails(), 1)
}

// Greylisting takes a mail that comes again after some minutes.
func TestAGreylistedMailIsSentAfterMinutes(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	server := smtptest.New(t)
	server.Answer("RCPT", "450 4.2.0 <ada@example.com>: Recipient address rejected: Greylisted")
	event := completed("o-1", "ada")
	inbox, _ := w.run(w.service(over(t, server)), event)
	w.reaches(inbox, event, "pending", 1)
	w.offset.Store(int64(10 * time.Second))
	w.reaches(inbox, event, "pending", 2)
	w.offset.Store(int64(70 * time.Second))
	w.reaches(inbox, event, "pending", 3)
	server.Answer("RCPT", "")
	w.offset.Store(int64(370 * time.Second))
	w.reaches(inbox, event, "done", 3)
	require.Len(t, server.Mails(), 1)
}

// What a mail that waits holds up: later mails about its own order.
func TestAMailThatWaitsHoldsUpItsOwnOrderOnly(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	server := smtptest.New(t)
	server.Answer("RCPT", "450 4.2.2 the mailbox is full")
	orders := eventstest.Events("orders", "o-1", happened,
		events.OrderCompleted{OrderID: "o-1", CustomerID: "ada", TotalMinor: 3000, Currency: "EUR"},
		events.OrderReversed{OrderID: "o-1", CustomerID: "ada", Reason: "capture_refused"})
	inbox, _ := w.run(w.service(over(t, server)), orders[0])
	w.reaches(inbox, orders[0], "pending", 1)

	server.Answer("RCPT", "")
	another := completed("o-2", "ada")
	registered := eventstest.Events("users", "ada", happened, events.UserRegistered{UserID: "ada"})[0]
	w.store(inbox, orders[1], another, registered)
	w.reaches(inbox, another, "done", 0)
	w.reaches(inbox, registered, "done", 0)
	w.reaches(inbox, orders[1], "pending", 0)
	require.Len(t, server.Mails(), 2)

	w.offset.Store(int64(10 * time.Second))
	w.reaches(inbox, orders[0], "done", 1)
	w.reaches(inbox, orders[1], "done", 0)
	require.Contains(t, server.Mails()[2], "Message-ID: <orders.o-1.1@example.com>")
	require.Contains(t, server.Mails()[3], "Message-ID: <orders.o-1.2@example.com>")
}

// A mail that was given up lets later ones of its order pass.
func TestAMailThatWasGivenUpHoldsUpNothing(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	server := smtptest.New(t)
	server.Answer("RCPT", "550 5.1.1 there is no such mailbox")
	orders := eventstest.Events("orders", "o-1", happened,
		events.OrderCompleted{OrderID: "o-1", CustomerID: "ada", TotalMinor: 3000, Currency: "EUR"},
		events.OrderReversed{OrderID: "o-1", CustomerID: "ada", Reason: "capture_refused"})
	inbox, _ := w.run(w.service(over(t, server)), orders[0])
	w.reaches(inbox, orders[0], "dead", 1)
	server.Answer("RCPT", "")
	w.store(inbox, orders[1])
	w.reaches(inbox, orders[1], "done", 0)
}

// A server that takes mails and never says so must not send a customer one each hour for days.
func TestAMailWithoutAnAnswerIsHandedOverFiveTimes(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		server := smtptest.New(t)
		event := completed("o-1", "ada")
		inbox, _ := w.run(w.service(over(t, server)))
		// Only attempts without an answer count, also those of another process.
		failures, after := 1, time.Duration(0)
		server.Answer(".", smtptest.HangUp)
		w.store(inbox, event)
		w.reaches(inbox, event, "pending", 1)
		for _, says := range []string{"451 4.3.0 busy", smtptest.HangUp, "?", smtptest.HangUp, "421 4.3.2 bye"} {
			server.Answer(".", says)
			after += time.Hour
			w.offset.Store(int64(after))
			failures++
			w.reaches(inbox, event, "pending", failures)
		}
		server.Answer(".", smtptest.HangUp)
		w.offset.Store(int64(after + time.Hour))
		entry := w.reaches(inbox, event, "dead", failures+1)
		require.Contains(t, entry.Reason, "end of the mail: the server ended the connection (handed over 5 times without an answer: the customer may have it)")

		// Who replays it asks for one more, which may end in doubt again.
		require.NoError(t, inbox.Replay(t.Context(), "notifications", event.ID))
		w.reaches(inbox, event, "dead", 1)
		server.Answer(".", "")
		require.NoError(t, inbox.Replay(t.Context(), "notifications", event.ID))
		w.reaches(inbox, event, "done", 0)
		require.Len(t, server.Mails(), 1)
		require.Contains(t, server.Mails()[0], "Message-ID: <orders.o-1.1@example.com>")
	})
}
