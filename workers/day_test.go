package workers_test

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/journal"
	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/users"
	"example.com/orderly/workers"
)

// act is one thing a service does all day.
type act struct {
	service, name string
	do            func(ctx context.Context) error
}

// acts are what happens in the course of a day; tag makes what is new in it unique.
func (s *shop) acts(tag string) []act {
	now := func() time.Time { return beginning.Add(100 * 24 * time.Hour) }
	box := func(service string) *outbox.Outbox { return outbox.New(s.databases[service], service, now) }
	sales, stock := orders.New(box("orders"), nil), inventory.New(box("inventory"))
	money := payments.New(box("payments"), generous{})
	customers := users.New(box("users"), now)
	log := journal.New(s.databases["journal"])
	mailing := func(by postbox) *notifications.Service {
		return notifications.New(s.databases["notifications"], notifications.Options{
			Addresses: func(context.Context, string) (notifications.Address, error) {
				return notifications.Address{Email: "ada@example.com"}, nil
			},
			Sender: by, From: mail.Address{Address: "shop@example.com"}, Now: now,
		})
	}
	mails := mailing(postbox{})
	placement := func(n int) orders.Placement {
		return orders.Placement{
			CustomerID: "c-1", IdempotencyKey: fmt.Sprint(tag, "-", n), PaymentMethod: "pm_card_visa", Lines: []orders.Wanted{{SKU: "tea", Quantity: 1}},
			MostOpen: 1000,
		}
	}
	var placed []orders.Order
	var claimed []outbox.Pending
	var inbox *listen.Inbox
	const arriving = 100
	allHandled := func() {}
	id := func() string { return placed[0].ID }
	key := func(step string) string { return "order-" + id() + ":" + step }
	s.days++
	window := beginning.Add(time.Duration(s.days) * 50 * time.Second)
	return []act{
		{"orders", "add products", func(ctx context.Context) error {
			return sales.AddProducts(ctx, []orders.Product{{SKU: "tea", Name: "Tea", PriceMinor: 1000, Currency: "EUR"}})
		}},
		{"orders", "place", func(ctx context.Context) error {
			for n := range 20 {
				order, _, err := sales.Place(ctx, placement(n))
				if err != nil {
					return err
				}
				placed = append(placed, order)
			}
			return nil
		}},
		{"orders", "place again", func(ctx context.Context) error { _, _, err := sales.Repeated(ctx, placement(1)); return err }},
		{"orders", "show", func(ctx context.Context) error { _, err := sales.GetOwned(ctx, "c-7", "o-7"); return err }},
		{"orders", "list", func(ctx context.Context) (err error) {
			all := orders.Query{CustomerID: regular, Limit: 20}
			open := orders.Query{CustomerID: regular, Limit: 20, States: []orders.State{orders.Pending, orders.Confirmed}}
			last := orders.Query{CustomerID: regular, Limit: 20, From: beginning.Add(time.Second), Until: beginning.Add(time.Hour)}
			for _, q := range []orders.Query{all, open, last} {
				page, _, failed := sales.List(ctx, q)
				if err = errors.Join(err, failed); len(page) > 0 {
					q.After = page[len(page)-1].Position()
					_, _, failed = sales.List(ctx, q)
					err = errors.Join(err, failed)
				}
			}
			return err
		}},
		{"orders", "sweep", func(ctx context.Context) error {
			waiting, err := sales.Unstarted(ctx, 0, 20)
			for _, order := range waiting {
				err = errors.Join(err, sales.MarkStarted(ctx, order.ID))
			}
			return err
		}},
		{"orders", "reconcile", func(ctx context.Context) error {
			ids, err := sales.Open(ctx, 0, "", 10)
			for _, id := range ids {
				err = errors.Join(err, sales.MarkUnstarted(ctx, id), sales.MarkStarted(ctx, id))
			}
			return err
		}},
		{"orders", "flag", func(ctx context.Context) error {
			return sales.Flag(ctx, orders.Flag{OrderID: id(), At: now(), Attention: orders.Parked, Step: "Capture", Reason: "r"})
		}},
		{"orders", "what needs attention", func(ctx context.Context) error { _, err := sales.Attentions(ctx); return err }},
		{"orders", "confirm, complete", func(ctx context.Context) error {
			return errors.Join(sales.Confirm(ctx, orders.Move{Key: key("confirm"), OrderID: id()}),
				sales.Complete(ctx, orders.Move{Key: key("complete"), OrderID: id()}))
		}},
		{"orders", "relay", func(ctx context.Context) (err error) {
			if claimed, err = box("orders").Claim(ctx, 20, time.Minute); err != nil {
				return err
			}
			return errors.Join(box("orders").MarkPublished(ctx, claimed[1:]),
				box("orders").Failed(ctx, claimed[0], errors.New("returned"), time.Second))
		}},
		{"orders", "roll call", func(ctx context.Context) error {
			rolls := outbox.NewRollCalls(box("orders"), workers.RollCallPeriods())
			_, _, err := rolls.Due(ctx, "journal")
			_, other := rolls.Published(ctx, []string{claimed[1].ID})
			return errors.Join(err, other)
		}},
		{"orders", "backlog", func(ctx context.Context) error { _, _, err := box("orders").Backlog(ctx); return err }},
		{"orders", "prune the outbox", func(ctx context.Context) error {
			_, err := box("orders").Prune(ctx, now().Sub(window), 1000)
			return err
		}},
		{"orders", "prune keys", func(ctx context.Context) error { _, err := sales.PruneKeys(ctx, now().Sub(window), 1000); return err }},
		{"inventory", "reserve, release", func(ctx context.Context) error {
			return errors.Join(stock.Reserve(ctx, inventory.Reservation{Key: key("reserve"), OrderID: id(), Lines: []inventory.Quantity{{SKU: "tea", Quantity: 1}}}),
				stock.Release(ctx, inventory.Release{Key: key("release"), Undoes: key("reserve"), OrderID: id()}))
		}},
		{"payments", "authorize, capture", func(ctx context.Context) error {
			return errors.Join(money.Authorize(ctx, payments.Authorization{
				Key: key("authorize"), OrderID: id(), AmountMinor: 1000, Currency: "EUR", PaymentMethod: "pm_card_visa",
			}), money.Capture(ctx, payments.Capture{Key: key("capture"), OrderID: id()}))
		}},
		{"payments", "void", func(ctx context.Context) error {
			return money.Void(ctx, payments.Undo{Key: tag + ":void", Undoes: tag + ":authorize", OrderID: tag})
		}},
		{"journal", "store", func(ctx context.Context) (err error) {
			listener, handled := log.Listener(), 0
			record := listener.Apply
			listener.Apply = func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
				if handled++; handled == arriving {
					allHandled()
				}
				return record(ctx, tx, e)
			}
			inbox, err = listen.Open(ctx, s.databases["journal"].Pool(), string(s.databases["journal"].Engine()),
				[]listen.Listener{listener}, listen.Options{Now: now, Workers: 1, Poll: time.Hour})
			messages := []listen.Message{{Body: []byte(tag)}}
			for n := range arriving {
				event, _ := events.New("orders", fmt.Sprint(tag, "-", n), 1, now(), events.OrderResumed{})
				message, _ := listen.Encode(event)
				messages = append(messages, message)
			}
			return errors.Join(err, inbox.Store(ctx, "journal", messages))
		}},
		{"journal", "handle", func(ctx context.Context) error {
			ctx, allHandled = context.WithCancel(ctx)
			return inbox.Run(ctx)
		}},
		{"journal", "answer a roll call", func(ctx context.Context) error {
			event, _ := events.New("orders", fmt.Sprint(tag, "-", 1), 1, now(), events.OrderResumed{})
			message, _ := listen.Encode(event)
			_, err := inbox.Unknown(ctx, "journal", []listen.Message{message})
			_, other := inbox.Overtaken(ctx, "journal", []listen.Message{message})
			return errors.Join(err, other)
		}},
		{"journal", "list what is dead, drop", func(ctx context.Context) error {
			dead, err := inbox.Dead(ctx, "journal", 1)
			if err != nil {
				return err
			}
			_, err = inbox.Show(ctx, "journal", dead[0].EventID)
			return errors.Join(err, inbox.Drop(ctx, "journal", dead[0].EventID))
		}},
		{"journal", "how the inbox stands", func(ctx context.Context) error { _, err := inbox.Stats(ctx); return err }},
		{"journal", "prune the inbox", func(ctx context.Context) error { _, err := inbox.Prune(ctx, window, 1000); return err }},
		{"journal", "timeline", func(ctx context.Context) error { _, err := log.Events(ctx, "o-7"); return err }},
		{"notifications", "send", func(ctx context.Context) error {
			event, _ := events.New("orders", tag, 1, now(), events.OrderCancelled{OrderID: tag, CustomerID: "c-7"})
			silent := mailing(postbox{&notifications.Failure{Doubtful: true, Err: errors.New("no answer")}})
			if _, err := silent.Listener().Effect(ctx, event); err == nil {
				return errors.New("a mail was sent without an answer")
			}
			record, err := mails.Listener().Effect(ctx, event)
			if err != nil {
				return err
			}
			return s.databases["notifications"].InTx(ctx, func(tx *database.Tx) error {
				return record(ctx, tx.Tx)
			})
		}},
		{"notifications", "mails", func(ctx context.Context) error { _, err := mails.Mails(ctx, "o-7"); return err }},
		{"users", "sign in, out", func(ctx context.Context) error {
			token, _, err := customers.IssueSession(ctx, "c-7")
			if err != nil {
				return err
			}
			_, err = customers.Authenticate(ctx, token)
			return errors.Join(err, customers.Logout(ctx, token), customers.RevokeAll(ctx, "c-8"))
		}},
		{"users", "look after an account", func(ctx context.Context) error {
			email, first, second := tag+"@example.com", "correct horse battery", "kx8 v2m qq0 z7t"
			profile, err := customers.Register(ctx, users.Registration{Email: email, Name: "Ada", Password: first})
			if err != nil {
				return err
			}
			token, session, err := customers.Login(ctx, email, first, "curl/8")
			if err != nil {
				return err
			}
			name := "Countess"
			_, changed := customers.UpdateProfile(ctx, profile.ID, users.Change{Name: &name, Versions: []int64{profile.Version}})
			_, listed := customers.Sessions(ctx, profile.ID)
			return errors.Join(changed, listed, customers.ChangePassword(ctx, profile.ID, token, first, second),
				customers.EndSession(ctx, profile.ID, session.ID), customers.Delete(ctx, profile.ID))
		}},
		{"users", "rotate the keys of the cache", func(ctx context.Context) error {
			return customers.RotateKeys(ctx)
		}},
		{"users", "prune sessions", func(ctx context.Context) error { _, err := customers.PruneSessions(ctx); return err }},
	}
}

// postbox answers every mail like this.
type postbox struct{ says error }

func (p postbox) Send(context.Context, notifications.Message) error { return p.says }

// generous is a provider that always says yes.
type generous struct{ payments.Gateway }

func (generous) Create(_ context.Context, _ string, in payments.NewIntent) (payments.Intent, error) {
	return payments.Intent{ID: "pi-of-" + in.OrderID, Status: payments.NeedsConfirmation}, nil
}

func (generous) Get(_ context.Context, id string) (payments.Intent, error) {
	return payments.Intent{ID: id, Status: payments.Authorized}, nil
}

func (generous) Capture(_ context.Context, _, id string) (payments.Intent, error) {
	return payments.Intent{ID: id, Status: payments.Captured}, nil
}
