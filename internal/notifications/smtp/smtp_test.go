package smtp_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
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
	ID:   "orders.o-1.1@example.com",
	From: mail.Address{Name: "Mug & Ink", Address: "shop@example.com"}, To: mail.Address{Name: "Ada Lovelace", Address: "ada@example.com"},
	Subject: "Your order", Text: "Dear Ada Lovelace,\n\nit is on its way.\n", Date: time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC),
}

// client is the client for a URL.
func client(t *testing.T, url string) *smtp.Server {
	t.Helper()
	settings, err := smtp.Parse(url)
	require.NoError(t, err)
	server, err := smtp.New(settings, "example.com")
	require.NoError(t, err)
	return server
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
	require.NoError(t, client(t, server.URL()).Send(t.Context(), message))
	require.Len(t, server.Mails(), 1)
	require.Contains(t, server.Mails()[0], "\r\n\r\n.\r\n..\r\nend\r\n")
	require.Contains(t, server.Commands(), "MAIL FROM:<shop@example.com> BODY=8BITMIME\nRCPT TO:<ada@example.com>\nDATA\n")
}

// Of an answer only the first digit has to be understood (RFC 5321, section 4.3.2). A mail that was taken and is sent again comes twice.
func TestAnyAnswerThatSaysDoneIsAYes(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"MAIL", "RCPT", "."} {
		for _, answer := range []string{"200 fine", "250-2.0.0 fine\r\n250 2.0.0 queued", "251 user not local, will forward", "252 cannot verify", "299 done"} {
			t.Run(at+" "+answer[:3], func(t *testing.T) {
				t.Parallel()
				mails := smtptest.New(t)
				mails.Answer(at, answer)
				require.NoError(t, client(t, mails.URL()).Send(t.Context(), message))
				require.Len(t, mails.Mails(), 1)
			})
		}
	}
}

func TestAServerThatHangsIsLeftInTime(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"greeting", "EHLO", "MAIL", "RCPT", "DATA", "."} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			server := smtptest.New(t)
			server.Answer(where, smtptest.Hang)
			sender := client(t, server.URL())

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
			require.ErrorContains(t, sender.Send(t.Context(), message), "send mail orders.o-1.1@example.com: ")
			require.Less(t, time.Since(begun), 5*time.Second)
			requireLeft(t, server)
		})
	}
}

// The server took the mail; when it then hangs up, the mail must not be sent twice.
func TestAMailThatWasTakenIsSentWhenTheGoodByeFails(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{smtptest.HangUp, smtptest.Hang, "500 5.5.1 what?", "421 4.3.0 closing"} {
		server := smtptest.New(t)
		server.Answer("QUIT", answer)
		require.NoError(t, client(t, server.URL()).Send(t.Context(), message))
		require.Len(t, server.Mails(), 1)
		requireLeft(t, server)
	}
}

// A mail of which half was sent when the time was over has no end: what follows it, a good-bye even, would be one.
func TestHalfAMailIsNoMail(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	gaveUp, read := make(chan struct{}), make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		lines := bufio.NewReader(conn)
		_, _ = conn.Write([]byte("220 ready\r\n"))
		for answer, line := "250 ok\r\n", ""; !strings.HasPrefix(line, "DATA"); {
			if line, err = lines.ReadString('\n'); err != nil {
				return
			}
			if strings.HasPrefix(line, "DATA") {
				answer = "354 go on\r\n"
			}
			_, _ = conn.Write([]byte(answer))
		}
		<-gaveUp
		rest, _ := io.ReadAll(lines)
		read <- string(rest)
	}()
	sender := client(t, "smtp://"+listener.Addr().String())
	smtp.Hurry(sender, 500*time.Millisecond, time.Minute)
	long := message
	long.Text = strings.Repeat("more than the system keeps for a server that does not read\n", 500_000)
	err = sender.Send(t.Context(), long)
	close(gaveUp)
	f, _ := errors.AsType[*notifications.Failure](err)
	require.NotNil(t, f)
	require.Equal(t, later, f.Outcome)
	require.False(t, f.Doubtful)
	got := <-read
	require.Contains(t, got, "Message-ID: <orders.o-1.1@example.com>")
	require.NotContains(t, got, "\r\n.\r\n")
}

func TestAServerThatIsAwayIsAnError(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, client(t, "smtp://127.0.0.1:1").Send(t.Context(), message), "connection refused")
}

func TestAnAddressThatIsNotASCII(t *testing.T) {
	t.Parallel()
	utf8 := message
	utf8.To.Address = "äda@xn--bcher-kva.example"
	const refusal = "the recipient's address is not ASCII"
	for name, c := range map[string]struct {
		offers []string
		answer string
		want   notifications.Outcome
		says   string
	}{
		"the server offers SMTPUTF8":            {[]string{"SMTPUTF8", "8BITMIME"}, "", notifications.Taken, ""},
		"the server does not":                   {[]string{"8BITMIME"}, "", recipient, refusal + ", which takes SMTPUTF8, and the mail server does not offer that"},
		"the next server does not":              {[]string{"SMTPUTF8"}, "553 5.6.7 non-ASCII addresses not permitted", recipient, refusal + ", and a server on the way does not take it"},
		"the mailbox is full":                   {[]string{"SMTPUTF8"}, "552 5.2.2 full", later, "552 5.2.2"},
		"the mail server does not relay for us": {[]string{"SMTPUTF8"}, "554 5.7.1 no", operator, "554 5.7.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := smtptest.New(t, c.offers...)
			server.Answer("RCPT", c.answer)
			err := client(t, server.URL()).Send(t.Context(), utf8)
			if c.want == notifications.Taken {
				require.NoError(t, err)
				require.Contains(t, server.Commands(), "MAIL FROM:<shop@example.com> BODY=8BITMIME SMTPUTF8\nRCPT TO:<äda@xn--bcher-kva.example>\n")
				require.Contains(t, server.Mails()[0], "<äda@xn--bcher-kva.example>\r\n")
				return
			}
			require.ErrorContains(t, err, c.says)
			f, _ := errors.AsType[*notifications.Failure](err)
			require.Equal(t, c.want, f.Outcome)
			require.NotContains(t, err.Error(), "äda")
			require.Empty(t, server.Mails())
		})
	}
}

func TestASenderThatHasToBeQuoted(t *testing.T) {
	t.Parallel()
	server := smtptest.New(t)
	quoted := message
	quoted.From.Address = "the shop@example.com"
	require.NoError(t, client(t, server.URL()).Send(t.Context(), quoted))
	require.Contains(t, server.Commands(), `MAIL FROM:<"the shop"@example.com>`)
}

func TestTheNameThatWeGive(t *testing.T) {
	t.Parallel()
	for parameter, want := range map[string]string{
		"":                            "EHLO example.com",
		"?hello=mail.example.net":     "EHLO mail.example.net",
		"?hello=b%C3%BCcher.example":  "EHLO xn--bcher-kva.example",
		"?hello=[192.0.2.1]":          "EHLO [192.0.2.1]",
		"?hello=%5BIPv6:2001:db8::1]": "EHLO [IPv6:2001:db8::1]",
	} {
		server := smtptest.New(t)
		require.NoError(t, client(t, server.URL()+parameter).Send(t.Context(), message))
		first, _, _ := strings.Cut(server.Commands(), "\n")
		require.Equal(t, want, first)
	}
	// A server so old that it only knows HELO.
	server := smtptest.New(t)
	server.Answer("EHLO", "502 5.5.1 command not implemented")
	require.NoError(t, client(t, server.URL()).Send(t.Context(), message))
	require.Contains(t, server.Commands(), "EHLO example.com\nHELO example.com\nMAIL FROM:<shop@example.com>\n")
}

func TestACheckSendsNothing(t *testing.T) {
	t.Parallel()
	server := smtptest.New(t, "AUTH PLAIN")
	sender := client(t, "smtp://shop:s3cret@"+server.Addr)
	require.NoError(t, sender.Check(t.Context()))
	requireLeft(t, server)
	require.Contains(t, server.Commands(), "password |shop|s3cret\nQUIT")
	require.NotContains(t, server.Commands(), "MAIL")

	server.Answer("AUTH", "535 5.7.8 no")
	require.EqualError(t, sender.Check(t.Context()),
		`AUTH: the server answered 535 5.7.8 (no): the server refuses the login: check user and password in SMTP_URL`)
}
