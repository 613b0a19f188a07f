package notifications

import (
	"crypto/sha256"
	"encoding/hex"
	"net/mail"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"example.com/orderly/events"
)

// Message is one mail, complete. The same event makes the same message, as long as the customer's address and name stay.
type Message struct {
	// ID is the Message-ID without its angle brackets. It is made from the event's id and the domain that mails came from at its time.
	ID string
	// From and To have ASCII domains. What stands before the @ in To may have other characters.
	From, To mail.Address
	Subject  string
	Text     string
	// Date is when the event happened, not when the mail goes out: a repeat must not look like another mail.
	Date time.Time
}

func (s *Service) compose(k kind, e events.Event, say facts, to Address, domain string) (Message, error) {
	email, err := parseTo(to.Email)
	if err != nil {
		return Message{}, err
	}
	say.Name = printable(to.Name)
	subject, body, err := texts[k.template].fill(say)
	if err != nil {
		return Message{}, err
	}
	return Message{
		ID: messageID(e.ID) + "@" + domain, From: s.from, To: mail.Address{Name: say.Name, Address: email},
		Subject: oneLine(subject), Text: body, Date: e.Time,
	}, nil
}

// maxID keeps a Message-ID a legal header line, and a legal file name for domains of usual length.
const maxID = 200

var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$`)

// messageID is the event's id as the left part of a msg-id of RFC 5322, section 3.6.4. No two events share one.
func messageID(eventID string) string {
	if len(eventID) > maxID || !plainID.MatchString(eventID) {
		sum := sha256.Sum256([]byte(eventID))
		eventID = hex.EncodeToString(sum[:])
	}
	return strings.ReplaceAll(eventID, "/", ".")
}

// maxName is how much of a name a greeting takes.
const maxName = 60

// looksLikeLink is what mail programs make links of.
var looksLikeLink = regexp.MustCompile(`[/@:<>]|\.\S`)

// printable is a customer's name as we put it into a mail, empty where it is better left out. Name and
// address are chosen freely at registration: without this, our mails could carry advertisements to any address.
func printable(name string) string {
	name = oneLine(name)
	if utf8.RuneCountInString(name) > maxName || looksLikeLink.MatchString(name) {
		return ""
	}
	return name
}

// oneLine is text without line breaks, control characters and marks that turn the direction of what follows.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return strings.Join(strings.Fields(text), " ")
}

// MIME is the message in the format of RFC 5322.
func (m Message) MIME() *gomail.Msg {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(&m.From)
	msg.ToMailAddress(&m.To)
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(m.ID)
	msg.SetDateWithValue(m.Date)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // keeps out-of-office replies away, RFC 3834
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	return msg
}
