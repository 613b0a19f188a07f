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
	sender, err := smtp.New(server.URL())
	require.NoError(t, err)
	return sender
}

func TestWhatTheServerCannotDoNowIsTriedAgainUnderTheSameID(t *testing.T) {
	t.Parallel()
	for command, answer := range map[string]string{
		"greeting": "421 4.3.2 come back later",
		"MAIL":     "550 5.7.1 we do not know this sender", // ours to mend
		"RCPT":     "450 4.2.1 greylisted",
		"DATA":     "451 4.3.0 busy",
		".":        "554 5.6.0 we do not like it",
		"EHLO":     smtptest.HangUp,
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			w := onSQLite(t)
			server := smtptest.New(t)
			server.Answer(command, answer)
			event := completed("o-1", "ada")
			inbox, _ := w.run(w.service(over(t, server)), event)
			entry := w.reaches(inbox, event, "pending", 1)
			require.Contains(t, entry.Reason, "send mail orders.o-1.1@orderly")
			if answer != smtptest.HangUp {
				require.Contains(t, entry.Reason, answer[:3])
			}
			require.Empty(t, server.Mails())
			require.Empty(t, w.mails("o-1"))

			server.Answer(command, "")
			w.offset.Store(int64(time.Minute))
			w.reaches(inbox, event, "done", 1)
			require.Len(t, server.Mails(), 1)
			require.Contains(t, server.Mails()[0], "Message-ID: <orders.o-1.1@orderly>\r\n")
		})
	}
}

func TestARecipientRefusedForGoodIsGivenUpAtOnce(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	server := smtptest.New(t)
	server.Answer("RCPT", "550 5.1.1 <ada@example.com>: no such user")
	event := completed("o-1", "ada")
	inbox, _ := w.run(w.service(over(t, server)), event)
	entry := w.reaches(inbox, event, "dead", 1)
	require.Contains(t, entry.Reason, "sending SMTP RCPT TO command: the server answered 550 5.1.1")
	require.Empty(t, w.mails("o-1"))
}
