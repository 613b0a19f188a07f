package smtp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"unicode"

	"example.com/orderly/internal/notifications"
)

// maxQuote is how many characters of a server's answer are repeated.
const maxQuote = 200

// failed says what it means that err came up at this place.
func (c *conversation) failed(at place, err error) error {
	f := &notifications.Failure{Outcome: notifications.Later}
	reply, answered := errors.AsType[*textproto.Error](err)
	switch {
	case answered:
		f.Outcome, f.Err = c.judge(at, reply)
	case c.ctx.Err() != nil:
		f.Err = fmt.Errorf("%s: the server did not finish in time: %w", at, c.ctx.Err())
	default:
		f.Outcome, f.Err = c.unanswered(at, err)
	}
	f.Doubtful = at == end && !answered
	return f
}

// judge looks an answer up in the table.
func (c *conversation) judge(at place, reply *textproto.Error) (notifications.Outcome, error) {
	code := strconv.Itoa(reply.Code)
	status := statusOf(code, reply.Msg)
	means := meaningOf(at, code, status)
	if c.utf8 && (status == "5.6.7" || status == "5.6.9") { // RFC 6531: a server on the way lacks SMTPUTF8
		means = answer{outcome: notifications.Recipient, meaning: "the recipient's address is not ASCII, and a server on the way does not take it"}
	}
	said := strings.TrimSpace(code + " " + status)
	switch at {
	case rcptTo, data, end: // not the server's text, which repeats the recipient's address
	default:
		said += " (" + oneLine(strings.TrimSpace(strings.TrimPrefix(reply.Msg, status))) + ")"
	}
	return means.outcome, fmt.Errorf("%s: the server answered %s: %s", at, said, means.meaning)
}

// unanswered says what a failure means that is not an answer of the server.
func (c *conversation) unanswered(at place, err error) (notifications.Outcome, error) {
	const check = "check host and port in SMTP_URL, and that it begins with smtps:// where the server speaks TLS from the first byte, else with smtp://"
	if _, malformed := errors.AsType[textproto.ProtocolError](err); malformed {
		if at == greeting {
			return notifications.Operator, fmt.Errorf("%s: not that of a mail server: %s", at, check)
		}
		return notifications.Later, fmt.Errorf("%s: the server's answer is not SMTP", at)
	}
	if noTLS, is := errors.AsType[tls.RecordHeaderError](err); is {
		return notifications.Operator, fmt.Errorf("%s: %w: %s", at, noTLS, check)
	}
	if untrusted, is := errors.AsType[*tls.CertificateVerificationError](err); is {
		return notifications.Operator, fmt.Errorf("%s: %w: where its certificate is of your own authority, name the authority's with ca=FILE in SMTP_URL", at, untrusted)
	}
	if unknown, is := errors.AsType[*net.DNSError](err); is && unknown.IsNotFound {
		return notifications.Operator, fmt.Errorf("%s: %w: check the host in SMTP_URL", at, unknown)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && at == greeting:
		return notifications.Later, fmt.Errorf("%s: none came in time: %s", at, check)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return notifications.Later, fmt.Errorf("%s: the server did not answer in time", at)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return notifications.Later, fmt.Errorf("%s: the server ended the connection", at)
	}
	if lost, is := errors.AsType[*net.OpError](err); is && lost.Op != "remote error" { // which is what TLS calls an alert
		return notifications.Later, fmt.Errorf("%s: %w", at, err)
	}
	if at == handshake || at == auth {
		return notifications.Operator, fmt.Errorf("%s: %w", at, err)
	}
	return notifications.Later, fmt.Errorf("%s: %w", at, err)
}

// refused is a failure that an operator has to end, without an answer of the server.
func refused(at place, format string, args ...any) error {
	return &notifications.Failure{Outcome: notifications.Operator, Err: fmt.Errorf("%s: "+format, append([]any{at}, args...)...)}
}

// oneLine is a server's text in one line of a log.
func oneLine(text string) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	for i, r := range runes {
		if !unicode.IsPrint(r) {
			runes[i] = '?'
		}
	}
	if len(runes) > maxQuote {
		runes = append(runes[:maxQuote], '…')
	}
	return string(runes)
}
