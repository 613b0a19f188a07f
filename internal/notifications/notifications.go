package notifications

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"net/mail"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
)

// attemptTimeout bounds one attempt at one mail. It is longer than SendTimeout, so that a slow mail server leaves time to look
// up the address and to record what was sent.
const attemptTimeout = SendTimeout + 10*time.Second

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the tables of the notifications database, its inbox included.
func Migrations() []database.Migrations {
	return []database.Migrations{{Set: "inbox", Files: listen.Migrations()}, database.Embedded("notifications", files)}
}

// Address is where a customer's mail goes. Both fields are the customer's own text.
type Address struct{ Email, Name string }

// Addresses looks a customer up: NotFound when there is none (any more), then no mail is sent.
type Addresses func(ctx context.Context, customerID string) (Address, error)

// Service writes mails and remembers that it did.
type Service struct {
	log       *slog.Logger
	db        *database.DB
	addresses Addresses
	sender    Sender
	from      mail.Address
	now       func() time.Time
	watch     watch
}

// Options are what a Service works with. One that only lists mails needs none of it.
type Options struct {
	Addresses Addresses
	Sender    Sender
	From      mail.Address     // that mails come from, by ParseFrom
	Now       func() time.Time // default the clock of the database
	Metrics   *Metrics         // nil for none
	Log       *slog.Logger
}

// New returns the service in db.
func New(db *database.DB, o Options) *Service {
	passing := o.Now
	if o.Now == nil {
		o.Now, passing = db.Now, time.Now
	}
	return &Service{
		log: o.Log, db: db, addresses: o.Addresses, sender: o.Sender, from: o.From, now: o.Now,
		watch: watch{log: o.Log, now: passing, metrics: o.Metrics, failing: map[string]bool{}},
	}
}

// Listener sends the mails; it belongs into an inbox on the same database. Each mail goes out at least once, always under the
// same Message-ID. It is tried for three days. While it waits, later mails about the same order or customer wait behind it, and no others;
// once it is given up, they pass it.
func (s *Service) Listener() listen.Listener {
	return listen.Listener{
		Subscription: Subscription, Unordered: true, Timeout: attemptTimeout, Schedule: schedule, Effect: s.send,
	}
}

func (s *Service) send(ctx context.Context, e events.Event) (listen.Record, error) {
	kind, say, err := read(e)
	if err != nil {
		return nil, listen.Permanent(fmt.Errorf("write a mail: %w", err))
	}
	to, err := s.addresses(ctx, say.customerID)
	if fault.KindOf(err) == fault.NotFound {
		s.log.InfoContext(ctx, "no mail: the customer is gone",
			"template", kind.template, "event_id", e.ID, "order_id", say.OrderID, "customer_id", say.customerID)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up customer %s for event %s: %w", say.customerID, e.ID, err)
	}
	domain, err := s.domainAt(ctx, e.Time)
	if err != nil {
		return nil, fmt.Errorf("make the id of the mail about event %s: %w", e.ID, err)
	}
	message, err := s.compose(kind, e, say, to, domain)
	if err != nil {
		return nil, listen.Permanent(fmt.Errorf("write the mail about event %s: %w", e.ID, err))
	}
	err = s.sender.Send(ctx, message)
	s.watch.saw(ctx, e.ID, err)
	if err != nil {
		return nil, s.failed(ctx, e, err)
	}
	sentAt := s.now()
	return func(ctx context.Context, tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, tx.Rebind(`
			INSERT INTO mails (event_id, subject, template, sent_at) VALUES (?, ?, ?, ?) ON CONFLICT (event_id) DO NOTHING`),
			e.ID, e.Subject, kind.template, database.At(sentAt)); err != nil {
			return fmt.Errorf("record the mail about event %s: %w", e.ID, err)
		}
		return nil
	}, nil
}

// Sent is one mail that was handed over.
type Sent struct {
	EventID string
	// Template is the name of its text, such as "order.completed".
	Template string
	At       time.Time
}

// Mails returns the mails about a subject, an order's or a customer's id, in the order they were sent; none is not an error.
// Unavailable when the database is down.
func (s *Service) Mails(ctx context.Context, subject string) ([]Sent, error) {
	var rows []struct {
		EventID  string        `db:"event_id"`
		Template string        `db:"template"`
		SentAt   database.Time `db:"sent_at"`
	}
	if err := s.db.Select(ctx, &rows, `
		SELECT event_id, template, sent_at FROM mails WHERE subject = ? ORDER BY sent_at, event_id`, subject); err != nil {
		return nil, fmt.Errorf("list the mails about %s: %w", subject, err)
	}
	mails := make([]Sent, len(rows))
	for i, r := range rows {
		mails[i] = Sent{EventID: r.EventID, Template: r.Template, At: r.SentAt.Time}
	}
	return mails, nil
}
