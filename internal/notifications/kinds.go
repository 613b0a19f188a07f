package notifications

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"text/template"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/money"
	"example.com/orderly/internal/reasons"
)

// kind is one kind of mail: the event behind it, the name of its text, and what the event says.
type kind struct {
	eventType string
	template  string
	read      func(e events.Event) (facts, error)
}

// facts is what a text may use. What an event does not say is empty, and so is Name where the customer's is not fit to print.
type facts struct {
	customerID string

	OrderID string
	Reason  string // as customers are told it
	Total   money.Money
	Name    string
}

// kinds is every mail there is. A new one is an entry here and a file of that name in templates.
var kinds = []kind{
	mailFor("order.completed", func(p events.OrderCompleted) (facts, error) {
		total, err := money.New(p.TotalMinor, p.Currency)
		return facts{customerID: p.CustomerID, OrderID: p.OrderID, Total: total}, err
	}),
	mailFor("order.rejected", func(p events.OrderRejected) (facts, error) {
		return facts{customerID: p.CustomerID, OrderID: p.OrderID, Reason: reasons.Told(p.Reason)}, nil
	}),
	mailFor("order.cancelled", func(p events.OrderCancelled) (facts, error) {
		return facts{customerID: p.CustomerID, OrderID: p.OrderID, Reason: reasons.Told(p.Reason)}, nil
	}),
	mailFor("order.reversed", func(p events.OrderReversed) (facts, error) {
		return facts{customerID: p.CustomerID, OrderID: p.OrderID, Reason: reasons.Told(p.Reason)}, nil
	}),
	mailFor("user.registered", func(p events.UserRegistered) (facts, error) {
		return facts{customerID: p.UserID}, nil
	}),
}

// Subscription is that of the mails: the events of all kinds.
var Subscription = func() listen.Subscription {
	s := listen.Subscription{Name: "notifications"}
	for _, k := range kinds {
		s.Types = append(s.Types, k.eventType)
	}
	return s
}()

func mailFor[P events.Payload](template string, say func(P) (facts, error)) kind {
	var payload P
	return kind{payload.EventType(), template, func(e events.Event) (facts, error) {
		payload, err := events.As[P](e)
		if err != nil {
			return facts{}, err
		}
		return say(payload)
	}}
}

func read(e events.Event) (kind, facts, error) {
	for _, k := range kinds {
		if k.eventType == e.Type {
			say, err := k.read(e)
			if err != nil {
				err = fmt.Errorf("read event %s: %w", e.ID, err)
			}
			return k, say, err
		}
	}
	return kind{}, facts{}, fmt.Errorf("no mail goes with event %s of type %s", e.ID, e.Type)
}

// text is one parsed template. Subject and body are apart before anything is filled in, so nothing filled into one can become
// part of the other.
type text struct{ subject, body *template.Template }

//go:embed templates/*.txt
var templateFiles embed.FS

var texts = parseTexts()

// parseTexts panics when a text is missing or malformed: the program is built with them, and must not find out at the first mail. Each body
// may use the template "because" of because.txt, which puts a reason into words.
func parseTexts() map[string]text {
	parsed := map[string]text{}
	shared := template.Must(template.ParseFS(templateFiles, "templates/because.txt"))
	for _, k := range kinds {
		content, err := fs.ReadFile(templateFiles, "templates/"+k.template+".txt")
		if err != nil {
			panic(err)
		}
		head, body, found := strings.Cut(string(content), "\n\n")
		subject, is := strings.CutPrefix(head, "Subject: ")
		if !found || !is || strings.Contains(subject, "\n") {
			panic(k.template + ".txt: the first line is the subject, as in \"Subject: Welcome\", and the second is empty")
		}
		parsed[k.template] = text{
			subject: template.Must(template.New(k.template + " subject").Parse(subject)),
			body:    template.Must(template.Must(shared.Clone()).New(k.template).Parse(body)),
		}
	}
	return parsed
}

func (t text) fill(f facts) (subject, body string, err error) {
	var s, b strings.Builder
	if err := t.subject.Execute(&s, f); err != nil {
		return "", "", err
	}
	if err := t.body.Execute(&b, f); err != nil {
		return "", "", err
	}
	return s.String(), b.String(), nil
}
