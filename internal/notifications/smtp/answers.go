package smtp

import (
	"regexp"
	"slices"
	"strings"

	"example.com/orderly/internal/notifications"
)

// place is where in the conversation with a mail server something went wrong.
type place string

const (
	connecting place = "connecting"
	handshake  place = "TLS"
	greeting   place = "greeting"
	ehlo       place = "EHLO"
	starttls   place = "STARTTLS"
	auth       place = "AUTH"
	mailFrom   place = "MAIL"
	rcptTo     place = "RCPT"
	data       place = "DATA"
	end        place = "end of the mail"
)

// answer is a row of the table of answers: what a code and an enhanced status code mean at these places.
type answer struct {
	at      []place  // empty for anywhere
	code    string   // "552", or "5xx" for all that begin like it
	status  []string // of RFC 3463: "5.1.1", "5.7.x"; none for no enhanced status code; empty for any or none
	outcome notifications.Outcome
	// meaning is what the answer says, and where a person has to do something, what.
	meaning string
}

// none stands for an answer without an enhanced status code.
const none = "none"

// known are the places at which the recipient is known. Each mail has one recipient, so an answer about a recipient is about this one.
var known = []place{rcptTo, data, end}

// answers is the table. The first row that fits counts. Only what is about the recipient is final: what a server refuses because of
// relaying, the sender, the login or how much was sent, it may take tomorrow, and a mail that was given up is lost.
var answers = []answer{
	{nil, "421", nil, notifications.Later, "the server ends the connection: it is busy or going down"},
	{[]place{auth}, "432", nil, notifications.Operator, "the server wants a new password: see to it there, then change SMTP_URL"},
	{nil, "4xx", nil, notifications.Later, "not now: greylisting, a full mailbox, too many mails, or a server that is busy"},

	{known, "5xx", []string{"5.1.1"}, notifications.Recipient, "there is no such mailbox"},
	{known, "5xx", []string{"5.1.2"}, notifications.Recipient, "there is no such domain"},
	{known, "5xx", []string{"5.1.3"}, notifications.Recipient, "the address is malformed"},
	{known, "5xx", []string{"5.1.6"}, notifications.Recipient, "the mailbox has moved, and no address is left"},
	{known, "5xx", []string{"5.1.10"}, notifications.Recipient, "the domain takes no mail"},
	{known, "5xx", []string{"5.2.1"}, notifications.Recipient, "the mailbox is disabled"},

	{nil, "5xx", []string{"5.2.2"}, notifications.Later, "the mailbox is full"},
	{nil, "552", []string{none}, notifications.Later, "the mailbox is full"},
	{nil, "5xx", []string{"5.1.7", "5.1.8"}, notifications.Operator, "the server does not accept the sender: check ORDERLY_MAIL_FROM"},
	{known, "5xx", []string{"5.1.x", "5.2.x", "5.3.x", "5.4.x"}, notifications.Later, "the recipient's mailbox or server, for a reason that may pass"},
	// 550 is what servers without enhanced status codes say of an unknown mailbox, and of relaying, of their own policy and of a missing
	// login, too. Giving up a mail that could be sent is worse than trying one for days that can't.
	{[]place{rcptTo}, "550", []string{none}, notifications.Later, "an unknown mailbox, or the server does not relay for us: the code alone does not tell"},
	{[]place{rcptTo}, "551", []string{none}, notifications.Later, "the mailbox is elsewhere, or the server does not relay for us: the code alone does not tell"},

	{[]place{greeting}, "5xx", nil, notifications.Operator, "the server takes no mail from this machine: check host and port in SMTP_URL, or have this machine's address admitted there"},
	{[]place{ehlo}, "5xx", nil, notifications.Operator, "the server does not accept the name that we give: set hello=NAME in SMTP_URL"},
	{[]place{starttls}, "5xx", nil, notifications.Operator, "the server offers TLS and refuses it: see to it there"},
	{[]place{auth}, "5xx", nil, notifications.Operator, "the server refuses the login: check user and password in SMTP_URL"},
	{[]place{mailFrom}, "5xx", nil, notifications.Operator, "the server refuses the sender, or wants a login first: check ORDERLY_MAIL_FROM, and user and password in SMTP_URL"},
	{[]place{rcptTo}, "5xx", nil, notifications.Operator, "the server does not relay for us, wants a login, refuses the sender, or has a limit: check ORDERLY_MAIL_FROM, user and password in SMTP_URL, and our rights there"},
	{[]place{data, end}, "5xx", nil, notifications.Operator, "the server refuses the mail: its own log says why (sender, size, spam filter)"},
	{nil, "xxx", nil, notifications.Later, "not an answer to what was asked"},
}

// meaningOf finds the row for an answer.
func meaningOf(at place, code, status string) answer {
	for _, a := range answers {
		if (len(a.at) == 0 || slices.Contains(a.at, at)) && like(a.code, code) && a.hasStatus(status) {
			return a
		}
	}
	panic("the last row fits every answer")
}

func (a answer) hasStatus(status string) bool {
	if len(a.status) == 0 {
		return true
	}
	if status == "" {
		status = none
	}
	return slices.ContainsFunc(a.status, func(pattern string) bool { return like(pattern, status) })
}

// like compares with a pattern that ends in x for any digits.
func like(pattern, text string) bool {
	begins := strings.TrimRight(pattern, "x")
	return pattern == text || begins != pattern && strings.HasPrefix(text, begins)
}

var (
	statusFirst   = regexp.MustCompile(`^([45]\.\d{1,3}\.\d{1,3})(?:[^.\d]|$)`)
	statusOfQmail = regexp.MustCompile(`\(#([45]\.\d{1,3}\.\d{1,3})\)`)
)

// statusOf is the enhanced status code of an answer: what its text begins with (RFC 2034), whether or not the server has announced that
// it gives them, or "(#5.1.1)" in it, as qmail writes it. Empty where there is none, or one of another class than the code: that
// server contradicts itself.
func statusOf(code, text string) string {
	found := statusFirst.FindStringSubmatch(text)
	if found == nil {
		found = statusOfQmail.FindStringSubmatch(text)
	}
	if found == nil || found[1][0] != code[0] {
		return ""
	}
	return found[1]
}
