package smtp_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/notifications/smtp"
	"example.com/orderly/internal/notifications/smtp/smtptest"
)

const (
	recipient = notifications.Recipient
	later     = notifications.Later
	operator  = notifications.Operator
)

// failure sends the message and returns what the failure means.
func failure(t *testing.T, server *smtp.Server) *notifications.Failure {
	t.Helper()
	err := server.Send(t.Context(), message)
	require.ErrorContains(t, err, "send mail orders.o-1.1@example.com: ")
	f, found := errors.AsType[*notifications.Failure](err)
	require.True(t, found, "%v", err)
	return f
}

// What a server says at each place, as servers say it, and what it means.
func TestWhatTheAnswersOfAServerMean(t *testing.T) {
	t.Parallel()
	for at, answers := range map[string]map[string]notifications.Outcome{
		"greeting": {
			"421 4.3.2 come back later":               later,
			"421 4.7.0 too many connections":          later,
			"450 4.7.1 your address is not known yet": later,
			"554 5.7.1 your address is on a list":     operator,
			"521 5.3.2 this server takes no mail":     operator,
			"554-no mail\r\n554 is taken here":        operator,
			"HTTP/1.1 400 Bad Request":                operator,
			"200 hello":                               later,
		},
		"EHLO": {
			"421 4.3.0 shutting down":                       later,
			"450 4.7.1 cannot find your host name":          later,
			"550 5.7.1 invalid EHLO, use your own name":     operator,
			"501 5.5.4 EHLO needs a fully qualified domain": operator,
		},
		"STARTTLS": {
			"454 4.7.0 TLS not available due to temporary reason": later,
			"421 4.7.0 too busy":                 later,
			"501 5.5.4 syntax error":             operator,
			"554 5.7.3 unable to initialize TLS": operator,
		},
		"AUTH": {
			"454 4.7.0 temporary authentication failure":  later,
			"421 4.7.0 too many login attempts":           later,
			"432 4.7.12 a password transition is needed":  operator,
			"535 5.7.8 user name and password not known":  operator,
			"535 authentication failed":                   operator,
			"534 5.7.9 application-specific password":     operator,
			"538 5.7.11 encryption required":              operator,
			"504 5.5.4 unrecognized authentication type":  operator,
			"530 5.7.0 must issue a STARTTLS command":     operator,
			"500 5.5.6 authentication exchange line long": operator,
		},
		"MAIL": {
			"421 4.4.2 idle for too long":                         later,
			"451 4.1.8 the sender's domain does not resolve":      later,
			"452 4.3.1 insufficient system storage":               later,
			"450 4.7.1 sender's rate exceeded":                    later,
			"530 5.7.0 log in first":                              operator,
			"530 5.7.57 client not authenticated to send mail":    operator,
			"550 5.7.1 we do not know this sender":                operator,
			"553 5.7.1 sender address not owned by this user":     operator,
			"553 5.1.7 the sender's address is not one":           operator,
			"550 5.1.8 the sender's domain does not exist":        operator,
			"550 5.1.1 there is no such sender":                   operator, // not about the recipient, who is not named yet
			"552 5.3.4 the message is too big":                    operator,
			"554 5.7.1 account suspended":                         operator,
			"503 5.5.1 EHLO first":                                operator,
			"555 5.5.4 unsupported parameter":                     operator,
			"552 storage exceeded":                                later,
			"550-5.7.1 this mail has been\r\n550 5.7.1 blocked":   operator,
			"550-5.7.26 the sender\r\n550-5.7.26 is not\r\n550 x": operator,
		},
		"RCPT": {
			// About the recipient, in the words of Postfix, Exchange, Gmail, qmail and others.
			"550 5.1.1 <ada@example.com>: Recipient address rejected: User unknown in local recipient table": recipient,
			"550-5.1.1 The email account that you tried to reach does not exist.\r\n550 5.1.1 Try again":     recipient,
			"550 5.1.10 RESOLVER.ADR.RecipientNotFound":                                                      recipient,
			"550 5.1.2 <ada@example.com>: Domain not found":                                                  recipient,
			"501 5.1.3 bad recipient address syntax":                                                         recipient,
			"551 5.1.6 moved, no forwarding address":                                                         recipient,
			"550 5.2.1 the account is disabled":                                                              recipient,
			"556 5.1.10 the domain has a null MX":                                                            recipient,
			"550 sorry, no mailbox here by that name (#5.1.1)":                                               recipient,
			"550 5.1.1: unknown":                                                                             recipient,
			// Not now.
			"450 4.2.0 <ada@example.com>: Recipient address rejected: Greylisted": later,
			"451 4.7.1 greylisting in action, come back in 00:05:00":              later,
			"450 4.1.1 unverified address":                                        later,
			"450 4.2.1 the user receives mail too quickly":                        later,
			"452 4.2.2 over quota":                                                later,
			"452 4.5.3 too many recipients":                                       later,
			"454 4.7.1 <ada@example.com>: Relay access denied":                    later,
			"421 4.7.0 try again later":                                           later,
			"450 5.1.1 no such user":                                              later, // 450 says that it may pass
			"552 5.2.2 over quota":                                                later,
			"552 quota":                                                           later,
			"550 5.2.2 mailbox full":                                              later,
			"550 5.2.0 a problem with the mailbox":                                later,
			"550 5.3.1 mail system full":                                          later,
			"550 5.4.1 Recipient address rejected: Access denied":                 later,
			"554 5.4.14 hop count exceeded":                                       later,
			"550 5.1.0 address rejected":                                          later,
			"550 5.1.4 ambiguous":                                                 later,
			// The code alone does not tell.
			"550 Unknown user":                       later,
			"550 relay not permitted":                later,
			"550 mailbox unavailable":                later,
			"551 user not local":                     later,
			"550 5.1.1.7 is no address of ours":      later,
			"550 we are not responsible for 5.1.1.9": later,
			"550 relaying from 5.1.1 is not for you": later,
			"550 4.1.1 contradicts itself":           later,
			// About us.
			"554 5.7.1 <ada@example.com>: relay denied":                              operator,
			"550 5.7.1 unable to relay":                                              operator,
			"550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain":      operator,
			"504 5.5.2 <shop>: Sender address rejected: need fully-qualified":        operator,
			"504 need fully-qualified":                                               operator,
			"530 log in first":                                                       operator,
			"530 5.7.0 authentication required":                                      operator,
			"553 sender not yours":                                                   operator,
			"553 5.7.1 sender not owned by user":                                     operator,
			"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)":  operator,
			"554 5.7.0 too many today":                                               operator,
			"550 5.7.23 the message was rejected because of Sender Policy Framework": operator,
			"503 5.5.1 bad sequence of commands":                                     operator,
			"554 transaction failed":                                                 operator,
			"550 5.6.7 a non-ASCII address":                                          operator,
			"550 5.1.8 the sender's domain does not exist":                           operator,
			"535 5.7.8 not logged in":                                                operator,
			"599 what":                                                               operator,
			"what?":                                                                  later,
			"2":                                                                      later,
			"354 go on":                                                              later,
			"999 never heard of":                                                     later,
		},
		"DATA": {
			"421 4.3.0 closing":                 later,
			"451 4.3.0 busy":                    later,
			"554 no valid recipients":           operator,
			"554 5.5.1 no valid recipients":     operator,
			"550 5.1.1 no such mailbox":         recipient,
			"250 2.0.0 taken before it is said": later,
		},
		".": {
			"421 4.3.0 closing":                            later,
			"451 4.7.1 greylisted after the mail":          later,
			"452 4.3.1 disk full":                          later,
			"554 5.6.0 we do not like it":                  operator,
			"554 5.7.1 spam":                               operator,
			"550 blocked by our filter":                    operator,
			"552 5.3.4 message too big":                    later,
			"552 5.7.0 this message was blocked":           operator,
			"550 5.1.1 no such mailbox":                    recipient,
			"550 5.1.10 RESOLVER.ADR.RecipientNotFound":    recipient,
			"552-5.2.2 the mailbox is full\r\n552 5.2.2 .": later,
		},
	} {
		for answer, want := range answers {
			t.Run(at+" "+answer, func(t *testing.T) {
				t.Parallel()
				server, client := saying(t, at)
				server.Answer(at, answer)
				if at == "EHLO" {
					server.Answer("HELO", answer)
				}
				f := failure(t, client)
				require.Equal(t, want, f.Outcome, "%v", f)
				require.False(t, f.Doubtful, "%v", f)
				require.NotContains(t, f.Error(), "ada@")
				require.Equal(t, 0, strings.Count(f.Error(), "\n"), "%v", f)
				require.Empty(t, server.Mails())
				requireLeft(t, server)
			})
		}
	}
}

// What operators read is the table itself.
func TestTheDocumentShowsTheTableOfAnswers(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../../docs/operations.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(document), "### What the answers of a mail server mean\n")
	require.True(t, found)
	shown := section[strings.Index(section, "| at |"):]
	shown, _, _ = strings.Cut(shown, "\n\n")
	require.Equal(t, smtp.AnswersInMarkdown(), shown+"\n")
}

// saying is a server at which the given place is reached, and a client for it.
func saying(t *testing.T, at string) (*smtptest.Server, *smtp.Server) {
	t.Helper()
	server := smtptest.New(t, "AUTH PLAIN", "STARTTLS")
	url := server.URL()
	switch at {
	case "STARTTLS":
		url = "smtp://example.com"
	case "AUTH":
		url = "smtp://shop:s3cret@" + server.Addr
	}
	sender := client(t, url)
	smtp.Through(sender, server.Addr)
	return server, sender
}
