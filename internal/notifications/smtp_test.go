package notifications_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/notifications"
)

func TestTheMailServerGetsTheMail(t *testing.T) {
	t.Parallel()
	server := newServer(t, "8BITMIME", "SMTPUTF8")
	message := onSQLite(t).compose(completed("o-1", "ada"))
	message.Text = ".\n..\nend"
	require.NoError(t, server.sender(t).Send(t.Context(), message))
	require.Len(t, server.mails(), 1)
	require.Contains(t, server.mails()[0], "\r\n\r\n.\r\n..\r\nend\r\n")
	require.Contains(t, server.commands(), "MAIL FROM:<shop@example.com> BODY=8BITMIME\nRCPT TO:<ada@example.com>\nDATA\n")
}

func TestWhatTheServerCannotDoNowIsTriedAgainUnderTheSameID(t *testing.T) {
	t.Parallel()
	for command, answer := range map[string]string{
		"greeting": "421 4.3.2 come back later",
		"MAIL":     "550 5.7.1 we do not know this sender", // ours to mend
		"RCPT":     "450 4.2.1 greylisted",
		"DATA":     "451 4.3.0 busy",
		".":        "554 5.6.0 we do not like it",
		"EHLO":     hangUp,
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			w := onSQLite(t)
			server := newServer(t)
			server.answer(command, answer)
			event := completed("o-1", "ada")
			inbox, _ := w.run(w.service(server.sender(t)), event)
			entry := w.reaches(inbox, event, "pending", 1)
			require.Contains(t, entry.Reason, "send mail orders.o-1.1@orderly")
			if answer != hangUp {
				require.Contains(t, entry.Reason, answer[:3])
			}
			require.Empty(t, server.mails())
			require.Empty(t, w.mails("o-1"))

			server.answer(command, "")
			w.offset.Store(int64(time.Minute))
			w.reaches(inbox, event, "done", 1)
			require.Len(t, server.mails(), 1)
			require.Contains(t, server.mails()[0], "Message-ID: <orders.o-1.1@orderly>\r\n")
		})
	}
}

func TestARecipientRefusedForGoodIsGivenUpAtOnce(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	server := newServer(t)
	server.answer("RCPT", "550 5.1.1 <ada@example.com>: no such user")
	event := completed("o-1", "ada")
	inbox, _ := w.run(w.service(server.sender(t)), event)
	entry := w.reaches(inbox, event, "dead", 1)
	require.Contains(t, entry.Reason, "sending SMTP RCPT TO command: the server answered 550 5.1.1")
	require.Empty(t, w.mails("o-1"))
}

func TestAServerThatHangsIsLeftInTime(t *testing.T) {
	t.Parallel()
	message := onSQLite(t).compose(completed("o-1", "ada"))
	for _, where := range []string{"greeting", "EHLO", "MAIL", "RCPT", "DATA", "."} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			server := newServer(t)
			server.answer(where, hang)
			sender := server.sender(t)

			// The caller's patience ends first,
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			begun := time.Now()
			require.ErrorIs(t, sender.Send(ctx, message), context.DeadlineExceeded)
			require.Less(t, time.Since(begun), 5*time.Second)
			server.requireLeft(t)

			// or the sender's own.
			notifications.Through(sender, server.addr, nil, 50*time.Millisecond)
			begun = time.Now()
			require.ErrorContains(t, sender.Send(t.Context(), message), "send mail orders.o-1.1@orderly: ")
			require.Less(t, time.Since(begun), 5*time.Second)
			server.requireLeft(t)
		})
	}
}

// The server took the mail; when it then hangs up, the mail must not be sent twice.
func TestAMailThatWasTakenIsSentWhenTheGoodByeFails(t *testing.T) {
	t.Parallel()
	message := onSQLite(t).compose(completed("o-1", "ada"))
	for command, answer := range map[string]string{"RSET": hangUp, "QUIT": "500 5.5.1 what?"} {
		server := newServer(t)
		server.answer(command, answer)
		require.NoError(t, server.sender(t).Send(t.Context(), message))
		require.Len(t, server.mails(), 1)
		server.requireLeft(t)
	}
}

func TestAServerThatIsAwayIsAnError(t *testing.T) {
	t.Parallel()
	message := onSQLite(t).compose(completed("o-1", "ada"))
	sender, err := notifications.SMTP("smtp://127.0.0.1:1", shop)
	require.NoError(t, err)
	require.ErrorContains(t, sender.Send(t.Context(), message), "connection refused")
}

func TestPasswordsTravelEncryptedOrNotAtAll(t *testing.T) {
	t.Parallel()
	message := onSQLite(t).compose(completed("o-1", "ada"))
	https := httptest.NewUnstartedServer(nil) // for its certificate, which is for example.com
	https.StartTLS()
	t.Cleanup(https.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(https.Certificate())
	// talk sends the message to a server at the given URL that can do these things.
	talk := func(t *testing.T, url string, roots *x509.CertPool, offers ...string) (*mailServer, error) {
		server := newServer(t, offers...)
		server.secure = &tls.Config{Certificates: https.TLS.Certificates}
		sender, err := notifications.SMTP(url, shop)
		require.NoError(t, err)
		notifications.Through(sender, server.addr, roots, 10*time.Second)
		return server, sender.Send(t.Context(), message)
	}
	const password = "password |shop|s3:cret/"

	t.Run("encrypted where the server offers it", func(t *testing.T) {
		t.Parallel()
		server, err := talk(t, "smtp://shop:s3%3Acret%2F@example.com:587", trusted, "STARTTLS", "AUTH PLAIN LOGIN")
		require.NoError(t, err)
		require.Len(t, server.mails(), 1)
		require.Less(t, strings.Index(server.commands(), "STARTTLS"), strings.Index(server.commands(), password))
	})
	t.Run("not at all to another machine in the clear", func(t *testing.T) {
		t.Parallel()
		for _, method := range []string{"PLAIN", "LOGIN"} {
			server, err := talk(t, "smtp://shop:s3%3Acret%2F@example.com", trusted, "AUTH "+method)
			require.ErrorContains(t, err, "unencrypted connection")
			require.NotContains(t, server.commands(), "AUTH")
			require.NotContains(t, err.Error(), "s3")
			require.Empty(t, server.mails())
		}
	})
	t.Run("not at all to a server with the certificate of another", func(t *testing.T) {
		t.Parallel()
		server, err := talk(t, "smtp://shop:s3%3Acret%2F@example.com", nil, "STARTTLS", "AUTH PLAIN")
		require.ErrorContains(t, err, "certificate")
		require.NotContains(t, server.commands(), "AUTH")
	})
	t.Run("without encryption where none is offered and there is no password", func(t *testing.T) {
		t.Parallel()
		server, err := talk(t, "smtp://example.com", trusted)
		require.NoError(t, err)
		require.Len(t, server.mails(), 1)
	})
	t.Run("in the clear on this machine", func(t *testing.T) {
		t.Parallel()
		for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
			server, err := talk(t, "smtp://shop:s3%3Acret%2F@"+host, nil, "STARTTLS", "AUTH PLAIN")
			require.NoError(t, err)
			require.NotContains(t, server.commands(), "STARTTLS")
			require.Contains(t, server.commands(), password)
		}
	})
	t.Run("from the first byte with smtps", func(t *testing.T) {
		t.Parallel()
		server := newServer(t, "AUTH PLAIN")
		proxy := tlsInFrontOf(t, server.addr, https.TLS.Certificates)
		sender, err := notifications.SMTP("smtps://shop:s3%3Acret%2F@example.com", shop)
		require.NoError(t, err)
		notifications.Through(sender, proxy, trusted, 10*time.Second)
		require.NoError(t, sender.Send(t.Context(), message))
		require.Len(t, server.mails(), 1)
		require.Contains(t, server.commands(), password)

		notifications.Through(sender, server.addr, trusted, 10*time.Second)
		require.Error(t, sender.Send(t.Context(), message), "a server that does not speak TLS was believed")
		require.Len(t, server.mails(), 1)
	})
}

func TestAnUnusableURLIsNamedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"http://shop:s3cret@mail":             "the mail server's URL must start with smtp:// or smtps://",
		"mail:25":                             "the mail server's URL must start with smtp:// or smtps://",
		"smtp://":                             "the mail server's URL names no host",
		"smtp://shop:s3cret@mail:port":        "the mail server's URL cannot be read",
		"smtp://shop:s3cret@mail:70000":       `the mail server's URL: "70000" is not a port`,
		"smtp://shop:s3cret@mail:0":           `the mail server's URL: "0" is not a port`,
		"smtp://shop:s3cret@mail/?tls=always": "the mail server's URL: nothing may follow the port",
	} {
		_, err := notifications.SMTP(url, shop)
		require.EqualError(t, err, want)
	}
	_, err := notifications.SMTP("smtp://mail", "the shop")
	require.ErrorContains(t, err, `mails cannot come from "the shop"`)
}
