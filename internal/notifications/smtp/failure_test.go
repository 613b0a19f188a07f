package smtp_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/notifications/smtp"
	"example.com/orderly/internal/notifications/smtp/smtptest"
)

// The mail may have been taken where it was handed over whole and no answer came.
func TestOnlyAMailWithoutAnAnswerIsDoubtful(t *testing.T) {
	t.Parallel()
	for at, says := range map[string]map[string]string{
		"greeting": {
			smtptest.HangUp: "greeting: the server ended the connection", smtptest.Hang: "greeting: none came in time: check host and port in SMTP_URL",
			"SSH-2.0-OpenSSH_9.2p1":         "greeting: none came in time: check host and port in SMTP_URL", // SSH- looks like one of several lines
			"220-welcome\r\n421 4.3.2 busy": "greeting: none came in time",                                  // for ever within the lines of 220
		},
		"EHLO": {smtptest.HangUp: "EHLO: the server ended the connection", smtptest.Hang: "EHLO: the server did not answer in time"},
		"AUTH": {smtptest.HangUp: "AUTH: the server ended the connection", smtptest.Hang: "AUTH: the server did not answer in time"},
		"MAIL": {smtptest.HangUp: "MAIL: the server ended the connection", smtptest.Hang: "MAIL: the server did not answer in time"},
		"RCPT": {smtptest.HangUp: "RCPT: the server ended the connection", smtptest.Hang: "RCPT: the server did not answer in time"},
		"DATA": {smtptest.HangUp: "DATA: the server ended the connection", smtptest.Hang: "DATA: the server did not answer in time"},
		".": {
			smtptest.HangUp: "end of the mail: the server ended the connection", smtptest.Hang: "end of the mail: the server did not answer in time",
			"yes!": "end of the mail: the server's answer is not SMTP",
		},
	} {
		for answer, want := range says {
			t.Run(fmt.Sprint(at, " ", answer), func(t *testing.T) {
				t.Parallel()
				server, client := saying(t, at)
				server.Answer(at, answer)
				if answer != smtptest.HangUp {
					smtp.Hurry(client, 300*time.Millisecond, 300*time.Millisecond)
				}
				f := failure(t, client)
				require.ErrorContains(t, f, want)
				require.Equal(t, later, f.Outcome)
				require.Equal(t, at == ".", f.Doubtful)
				requireLeft(t, server)
			})
		}
	}
}
