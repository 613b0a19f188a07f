package smtp_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/notifications/smtp"
	"example.com/orderly/internal/notifications/smtp/smtptest"
)

var message = notifications.Message{
	ID:   "orders.o-1.1@orderly",
	From: mail.Address{Name: "Mug & Ink", Address: "shop@example.com"}, To: mail.Address{Name: "Ada Lovelace", Address: "ada@example.com"},
	Subject: "Your order", Text: "Dear Ada Lovelace,\n\nit is on its way.\n", Date: time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC),
}

// to is the client for a mail server.
func to(t *testing.T, server *smtptest.Server) *smtp.Server {
	t.Helper()
	sender, err := smtp.New(server.URL())
	require.NoError(t, err)
	return sender
}

// requireLeft waits until every connection has ended.
func requireLeft(t *testing.T, server *smtptest.Server) {
	t.Helper()
	require.Eventually(t, server.Left, 30*time.Second, time.Millisecond, "a connection was left open")
}

func TestTheMailServerGetsTheMail(t *testing.T) {
	t.Parallel()
	server := smtptest.New(t, "8BITMIME", "SMTPUTF8")
	message := message
	message.Text = ".\n..\nend"
	require.NoError(t, to(t, server).Send(t.Context(), message))
	require.Len(t, server.Mails(), 1)
	require.Contains(t, server.Mails()[0], "\r\n\r\n.\r\n..\r\nend\r\n")
	require.Contains(t, server.Commands(), "MAIL FROM:<shop@example.com> BODY=8BITMIME\nRCPT TO:<ada@example.com>\nDATA\n")
}

func TestAServerThatHangsIsLeftInTime(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"greeting", "EHLO", "MAIL", "RCPT", "DATA", "."} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			server := smtptest.New(t)
			server.Answer(where, smtptest.Hang)
			sender := to(t, server)

			// The caller's patience ends first,
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			begun := time.Now()
			require.ErrorIs(t, sender.Send(ctx, message), context.DeadlineExceeded)
			require.Less(t, time.Since(begun), 5*time.Second)
			requireLeft(t, server)

			// or the sender's own.
			smtp.Hurry(sender, 50*time.Millisecond, 50*time.Millisecond)
			begun = time.Now()
			require.ErrorContains(t, sender.Send(t.Context(), message), "send mail orders.o-1.1@orderly: ")
			require.Less(t, time.Since(begun), 5*time.Second)
			requireLeft(t, server)
		})
	}
}

// The server took the mail; when it then hangs up, the mail must not be sent twice.
func TestAMailThatWasTakenIsSentWhenTheGoodByeFails(t *testing.T) {
	t.Parallel()
	for command, answer := range map[string]string{"RSET": smtptest.HangUp, "QUIT": "500 5.5.1 what?"} {
		server := smtptest.New(t)
		server.Answer(command, answer)
		require.NoError(t, to(t, server).Send(t.Context(), message))
		require.Len(t, server.Mails(), 1)
		requireLeft(t, server)
	}
}

func TestAServerThatIsAwayIsAnError(t *testing.T) {
	t.Parallel()
	sender, err := smtp.New("smtp://127.0.0.1:1")
	require.NoError(t, err)
	require.ErrorContains(t, sender.Send(t.Context(), message), "connection refused")
}

func TestPasswordsTravelEncryptedOrNotAtAll(t *testing.T) {
	t.Parallel()
	https := httptest.NewUnstartedServer(nil) // for its certificate, which is for example.com
	https.StartTLS()
	t.Cleanup(https.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(https.Certificate())
	// talk sends the message to a server at the given URL that can do these things.
	talk := func(t *testing.T, url string, roots *x509.CertPool, offers ...string) (*smtptest.Server, error) {
		server := smtptest.New(t, offers...)
		server.Secure = &tls.Config{Certificates: https.TLS.Certificates}
		sender, err := smtp.New(url)
		require.NoError(t, err)
		smtp.Through(sender, server.Addr, roots)
		return server, sender.Send(t.Context(), message)
	}
	const password = "password |shop|s3:cret/"

	t.Run("encrypted where the server offers it", func(t *testing.T) {
		t.Parallel()
		server, err := talk(t, "smtp://shop:s3%3Acret%2F@example.com:587", trusted, "STARTTLS", "AUTH PLAIN LOGIN")
		require.NoError(t, err)
		require.Len(t, server.Mails(), 1)
		require.Less(t, strings.Index(server.Commands(), "STARTTLS"), strings.Index(server.Commands(), password))
	})
	t.Run("not at all to another machine in the clear", func(t *testing.T) {
		t.Parallel()
		for _, method := range []string{"PLAIN", "LOGIN"} {
			server, err := talk(t, "smtp://shop:s3%3Acret%2F@example.com", trusted, "AUTH "+method)
			require.ErrorContains(t, err, "unencrypted connection")
			require.NotContains(t, server.Commands(), "AUTH")
			require.NotContains(t, err.Error(), "s3")
			require.Empty(t, server.Mails())
		}
	})
	t.Run("not at all to a server with the certificate of another", func(t *testing.T) {
		t.Parallel()
		server, err := talk(t, "smtp://shop:s3%3Acret%2F@example.com", nil, "STARTTLS", "AUTH PLAIN")
		require.ErrorContains(t, err, "certificate")
		require.NotContains(t, server.Commands(), "AUTH")
	})
	t.Run("without encryption where none is offered and there is no password", func(t *testing.T) {
		t.Parallel()
		server, err := talk(t, "smtp://example.com", trusted)
		require.NoError(t, err)
		require.Len(t, server.Mails(), 1)
	})
	t.Run("in the clear on this machine", func(t *testing.T) {
		t.Parallel()
		for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
			server, err := talk(t, "smtp://shop:s3%3Acret%2F@"+host, nil, "STARTTLS", "AUTH PLAIN")
			require.NoError(t, err)
			require.NotContains(t, server.Commands(), "STARTTLS")
			require.Contains(t, server.Commands(), password)
		}
	})
	t.Run("from the first byte with smtps", func(t *testing.T) {
		t.Parallel()
		listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: https.TLS.Certificates})
		require.NoError(t, err)
		server := smtptest.Serve(t, listener, "AUTH PLAIN")
		sender, err := smtp.New("smtps://shop:s3%3Acret%2F@example.com")
		require.NoError(t, err)
		smtp.Through(sender, server.Addr, trusted)
		require.NoError(t, sender.Send(t.Context(), message))
		require.Len(t, server.Mails(), 1)
		require.Contains(t, server.Commands(), password)

		clear := smtptest.New(t, "AUTH PLAIN")
		smtp.Through(sender, clear.Addr, trusted)
		require.Error(t, sender.Send(t.Context(), message), "a server that does not speak TLS was believed")
		require.Empty(t, clear.Mails())
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
		_, err := smtp.New(url)
		require.EqualError(t, err, want)
	}
}
