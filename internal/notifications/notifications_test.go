package notifications_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/eventstest"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/notifications/smtp/smtptest"
	"example.com/orderly/internal/reasons"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestEachEventGivesItsMailOnce(t *testing.T) {
	t.Parallel()
	given := map[string]events.Event{
		"order.completed": completed("o-1", "ada"),
		"order.rejected":  about("o-2", events.OrderRejected{OrderID: "o-2", CustomerID: "ada", Reason: "out_of_stock"}),
		"order.cancelled": about("o-3", events.OrderCancelled{OrderID: "o-3", CustomerID: "ada", Reason: "cancel_requested"}),
		"order.reversed":  about("o-4", events.OrderReversed{OrderID: "o-4", CustomerID: "ada", Reason: "capture_refused"}),
		"user.registered": eventstest.Events("users", "ada", happened, events.UserRegistered{UserID: "ada"})[0],
	}
	eachEngine(t, func(t *testing.T, w *world) {
		sender, files := folder(t)
		for template, event := range given {
			inbox, _ := w.run(w.service(sender), event, event)
			w.reaches(inbox, event, "done", 0)
			require.Equal(t, []notifications.Sent{{EventID: event.ID, Template: template, At: start}}, w.mails(event.Subject))

			got := files()[strings.ReplaceAll(event.ID, "/", ".")+"@example.com.eml"]
			golden(t, template+".eml", got)
		}
		require.Len(t, files(), len(given))
	})
}

func TestAnEventThatIsNoNewsForACustomerGivesNoMail(t *testing.T) {
	t.Parallel()
	listener := onSQLite(t).service(nil).Listener()
	mailed := 0
	for _, payload := range events.Catalogue() {
		if listener.Wants(payload.EventType()) {
			mailed++
		}
	}
	require.Equal(t, 5, mailed)
	require.True(t, listener.Unordered)
}

// What the provider says of a card is not for the mail: a wrong security code, a stolen card and a code that we do not know read the same.
func TestReasonsBecomeSentencesAndNeverCodes(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	says := func(p events.Payload) string {
		return strings.Split(w.compose(about("o", p)).Text, "\n\n")[1]
	}
	var all strings.Builder
	for _, reason := range append(reasons.All(), "stolen_card", "code_of_next_year", "capture_refused") {
		sentences := []string{
			says(events.OrderRejected{OrderID: "o", CustomerID: "ada", Reason: reason}),
			says(events.OrderCancelled{OrderID: "o", CustomerID: "ada", Reason: reason}),
			says(events.OrderReversed{OrderID: "o", CustomerID: "ada", Reason: reason}),
		}
		for _, sentence := range sentences {
			require.NotContains(t, sentence, reason)
			require.Regexp(t, "(order o|is cancelled|finish it)(, because .*|, as requested)[.]", sentence, "%s is not put into words", reason)
		}
		all.WriteString(strings.Join(append([]string{"[" + reason + "]"}, sentences...), "\n") + "\n\n")
	}
	golden(t, "because.txt", all.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// The process ends after the mail has gone and before that is written down.
func TestAMailRepeatedAfterACrashIsTheSameMailAndOneRow(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		server := smtptest.New(t)
		event := completed("o-1", "ada")
		attempt, killed := context.WithCancel(t.Context())
		_, err := w.service(over(t, server)).Listener().Effect(attempt, event)
		require.NoError(t, err)
		killed()
		require.Empty(t, w.mails("o-1"))

		w.offset.Store(int64(time.Minute))
		inbox, stop := w.run(w.service(over(t, server)), event)
		w.reaches(inbox, event, "done", 0)
		stop()
		mails := server.Mails()
		require.Len(t, mails, 2)
		require.Contains(t, mails[0], "Message-ID: <orders.o-1.1@example.com>\r\n")
		require.Equal(t, mails[0], mails[1])
		once := []notifications.Sent{{EventID: event.ID, Template: "order.completed", At: start.Add(time.Minute)}}
		require.Equal(t, once, w.mails("o-1"))

		// An inbox that has forgotten the event (it is pruned) takes it for a new one.
		_, err = w.db.Exec(t.Context(), `DELETE FROM inbox`)
		require.NoError(t, err)
		inbox, _ = w.run(w.service(over(t, server)), event)
		w.reaches(inbox, event, "done", 0)
		require.Len(t, server.Mails(), 3)
		require.Equal(t, mails[0], server.Mails()[2])
		require.Equal(t, once, w.mails("o-1"))
	})
}

func TestARecordThatRunsAgainRecordsTheMail(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		sender, _ := folder(t)
		record, err := w.service(sender).Listener().Effect(t.Context(), completed("o-1", "ada"))
		require.NoError(t, err)
		lost := errors.New("the transaction lost to another one")
		apply := func(outcome error) error {
			return w.db.InTx(t.Context(), func(tx *database.Tx) error {
				return errors.Join(record(t.Context(), tx.Tx), outcome)
			})
		}
		require.ErrorIs(t, apply(lost), lost)
		require.Empty(t, w.mails("o-1"))
		require.NoError(t, apply(nil))
		require.Len(t, w.mails("o-1"), 1)
	})
}

func TestACustomerWhoIsGoneGetsNoMailAndTheEventIsDone(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		sender, files := folder(t)
		event := completed("o-1", "bob")
		inbox, _ := w.run(w.service(sender), event)
		w.reaches(inbox, event, "done", 0)
		require.Empty(t, files())
		require.Empty(t, w.mails("o-1"), "a mail was recorded that was not sent")
		require.Contains(t, w.log.String(), `msg="no mail: the customer is gone" `+
			`template=order.completed event_id=orders/o-1/1 order_id=o-1 customer_id=bob`)
	})
}

func TestACustomerWhoCannotBeLookedUpIsMailedLater(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		sender, files := folder(t)
		event := completed("o-1", "ada")
		w.fail(fault.New(fault.Unavailable, "database_unavailable", "the database does not answer"))
		inbox, _ := w.run(w.service(sender), event)
		entry := w.reaches(inbox, event, "pending", 1)
		require.Contains(t, entry.Reason, "look up customer ada for event orders/o-1/1: the database does not answer")
		require.Empty(t, files())

		w.fail(nil)
		w.offset.Store(int64(time.Minute))
		w.reaches(inbox, event, "done", 1)
		require.Len(t, files(), 1)
		require.Len(t, w.mails("o-1"), 1)
	})
}

func TestWhatCannotBeWrittenIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	w.customers["eve"] = notifications.Address{Email: "eve@example.com>\r\nRCPT TO:<all@example.com", Name: "Eve"}
	sender, files := folder(t)
	for want, event := range map[string]events.Event{
		"not one that can be written to": completed("o-1", "eve"),
		`currency "DOGE"`: about("o-2", events.OrderCompleted{
			OrderID: "o-2", CustomerID: "ada", TotalMinor: 1, Currency: "DOGE",
		}),
	} {
		inbox, _ := w.run(w.service(sender), event)
		entry := w.reaches(inbox, event, "dead", 1)
		require.Contains(t, entry.Reason, want)
		require.NotContains(t, entry.Reason, "@")
	}
	require.Empty(t, files())
}

// Nothing of a customer stays here: not when all goes well, and not when it fails.
func TestNoAddressAndNoNameIsStoredOrLogged(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	server := smtptest.New(t)
	sent, refused, busy := completed("o-1", "ada"), completed("o-2", "ada"), completed("o-3", "ada")
	inbox, _ := w.run(w.service(over(t, server)), sent)
	w.reaches(inbox, sent, "done", 0)
	server.Answer("RCPT", "550 5.1.1 <ada@example.com>: Ada Lovelace is unknown")
	inbox, _ = w.run(w.service(over(t, server)), refused)
	w.reaches(inbox, refused, "dead", 1)
	server.Answer("RCPT", "450 4.2.1 <ada@example.com>: Ada Lovelace is busy")
	inbox, _ = w.run(w.service(over(t, server)), busy)
	w.reaches(inbox, busy, "pending", 1)

	var columns []string
	require.NoError(t, w.db.Select(t.Context(), &columns, `
		SELECT event_id || subject || template FROM mails UNION ALL SELECT reason || body FROM inbox`))
	require.Len(t, columns, 4)
	for _, text := range append(columns, w.log.String()) {
		require.NotContains(t, text, "ada@")
		require.NotContains(t, text, "Lovelace")
	}
}
