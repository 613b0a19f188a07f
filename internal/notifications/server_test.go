package notifications_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/notifications/smtp"
	"example.com/orderly/internal/notifications/smtp/smtptest"
)

// over is the sender for a mail server.
func over(t *testing.T, server *smtptest.Server) notifications.Sender {
	t.Helper()
	settings, err := smtp.Parse(server.URL())
	require.NoError(t, err)
	sender, err := smtp.New(settings, "example.com")
	require.NoError(t, err)
	return sender
}

// Nothing but an answer about the recipient ends the attempts; not even one whose code is for good.
func TestWhatIsNotAboutTheRecipientIsTriedAgainUnderTheSameID(t *testing.T) {
	t.Parallel()
	for name, says := range map[string][2]string{
		"no connection is taken now":   {"greeting", "421 4.3.2 come back later"},
		"a connection that ends":       {"EHLO", smtptest.HangUp},
		"an unknown sender":            {"MAIL", "550 5.7.1 we do not know this sender"},
		"greylisting":                  {"RCPT", "450 4.2.1 greylisted"},
		"no relaying":                  {"RCPT", "554 5.7.1 relay denied"},
		"a sender that is not whole":   {"RCPT", "504 need fully-qualified"},
		"no login":                     {"RCPT", "530 log in first"},
		"a sender of another customer": {"RCPT", "553 sender not yours"},
		"a full mailbox":               {"RCPT", "552 quota"},
		"too many mails":               {"RCPT", "554 5.7.0 too many today"},
		"550 alone":                    {"RCPT", "550 Unknown user"},
		"a busy server":                {"DATA", "451 4.3.0 busy"},
		"a filter":                     {".", "554 5.6.0 we do not like it"},
		"no answer to the mail":        {".", smtptest.HangUp},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := onSQLite(t)
			server := smtptest.New(t)
			server.Answer(says[0], says[1])
			event := completed("o-1", "ada")
			inbox, _ := w.run(w.service(over(t, server)), event)
			entry := w.reaches(inbox, event, "pending", 1)
			require.Contains(t, entry.Reason, "send mail orders.o-1.1@example.com")
			if says[1] != smtptest.HangUp {
				require.Contains(t, entry.Reason, says[1][:3])
			}
			require.Empty(t, server.Mails())
			require.Empty(t, w.mails("o-1"))

			server.Answer(says[0], "")
			w.offset.Store(int64(time.Minute))
			w.reaches(inbox, event, "done", 1)
			require.Len(t, server.Mails(), 1)
			require.Contains(t, server.Mails()[0], "Message-ID: <orders.o-1.1@example.com>\r\n")
		})
	}
}

func TestARecipientRefusedForGoodIsGivenUpAtOnce(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			w := onSQLite(t)
			server := smtptest.New(t)
			server.Answer("RCPT", "550 "+status+" <ada@example.com>: no such user")
			event := completed("o-1", "ada")
			inbox, _ := w.run(w.service(over(t, server)), event)
			entry := w.reaches(inbox, event, "dead", 1)
			require.Contains(t, entry.Reason, "RCPT: the server answered 550 "+status+": ")
			require.Empty(t, w.mails("o-1"))
		})
	}
}
