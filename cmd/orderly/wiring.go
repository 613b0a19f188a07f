package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"example.com/orderly/api"
	"example.com/orderly/events/listen"
	"example.com/orderly/events/local"
	"example.com/orderly/events/rabbit"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/journal"
	"example.com/orderly/internal/notifications"
	"example.com/orderly/workers"
)

// openListeners opens the services that only listen, each with an inbox in its own database. A new listener of ours is wired
// here; one that lives elsewhere is not known here at all.
func (s *stack) openListeners(ctx context.Context) error {
	db, err := s.database(ctx, "notifications", notifications.Migrations())
	if err != nil {
		return err
	}
	if s.notifications, err = s.newNotifications(db); err != nil {
		return err
	}
	if err := s.listener(ctx, db, s.notifications.Listener()); err != nil {
		return err
	}

	if db, err = s.database(ctx, "journal", journal.Migrations()); err != nil {
		return err
	}
	s.journal = journal.New(db)
	if err := s.listener(ctx, db, s.journal.Listener()); err != nil {
		return err
	}

	transport, err := s.openTransport(ctx)
	if err != nil {
		return err
	}
	s.registry.MustRegister(workers.Inboxes{Inboxes: s.inboxes, Now: s.now}, workers.Attention{Orders: s.orders})
	s.relay, err = workers.NewRelay(s.outboxes, transport, s.registry, s.log)
	return err
}

// openTransport chooses what carries the events: RabbitMQ where it is named, else straight into the inboxes of this process.
func (s *stack) openTransport(ctx context.Context) (workers.Transport, error) {
	if s.cfg.RabbitMQURL == "" {
		return local.New(s.inboxes...)
	}
	cfg := rabbit.Config{URL: s.cfg.RabbitMQURL, Log: s.log}
	// What waiting can't mend is said at once; a broker that is not up yet is waited for by whoever needs it.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	switch err := rabbit.Check(ctx, cfg); {
	case errors.Is(err, rabbit.ErrSetup):
		return nil, err
	case err != nil:
		s.say("Waiting for RabbitMQ (RABBITMQ_URL): " + err.Error())
	}
	var listeners []listen.Listener
	for _, inbox := range s.inboxes {
		listeners = append(listeners, inbox.Listeners()...)
	}
	var err error
	if s.publisher, err = rabbit.NewPublisher(cfg, listeners...); err != nil {
		return nil, err
	}
	s.open = append(s.open, s.publisher.Close)
	if s.consumer, err = rabbit.NewConsumer(cfg, s.inboxes...); err != nil {
		return nil, err
	}
	s.registry.MustRegister(s.publisher, s.consumer)
	return s.publisher, nil
}

func (s *stack) listener(ctx context.Context, db *database.DB, listener listen.Listener) error {
	inbox, err := listen.Open(ctx, db.Pool(), string(db.Engine()), []listen.Listener{listener}, listen.Options{Now: s.now, Log: s.log})
	if err != nil {
		return err
	}
	s.inboxes = append(s.inboxes, inbox)
	return inbox.Migrate(ctx)
}

// newNotifications wires the mailer: addresses come from the users service through its cache, not from events.
func (s *stack) newNotifications(db *database.DB) (*notifications.Service, error) {
	addresses := func(ctx context.Context, customerID string) (notifications.Address, error) {
		profile, err := s.users.Profile(ctx, customerID)
		return notifications.Address{Email: profile.Email, Name: profile.Name}, err
	}
	var sender notifications.Sender
	var err error
	if s.cfg.SMTPURL != "" {
		sender, err = notifications.SMTP(s.cfg.SMTPURL, s.cfg.MailFrom)
	} else {
		sender, err = notifications.Folder(filepath.Join(s.cfg.Data, "mails"), s.cfg.MailFrom)
	}
	if err != nil {
		return nil, fmt.Errorf("SMTP_URL or ORDERLY_MAIL_FROM: %w", err)
	}
	return notifications.New(db, addresses, sender, s.now, s.log), nil
}

func (s *stack) api() *api.API {
	cfg := api.Config{
		Orders: s.orders, Stock: s.inventory, Users: s.users,
		Timeline:    s.journal.Events,
		CheckMethod: s.payments.CheckMethod,
		StartSaga:   s.starter.Start,
		AwaitEnd:    s.starter.Await,
		Mails:       s.notifications.Mails,
		Registerer:  s.registry, Gatherer: s.registry, Logger: s.log, Now: s.now,
	}
	// The API's own data: without it there is nothing to answer. Everything else can be away for a while.
	own := map[string]bool{"orders": true, "users": true}
	for name, db := range s.databases {
		check := api.Check{Name: name + " database", Ping: db.Ping}
		if own[name] {
			cfg.Ready = append(cfg.Ready, check)
		} else {
			cfg.Degraded = append(cfg.Degraded, check)
		}
	}
	cfg.Degraded = append(cfg.Degraded,
		api.Check{Name: "temporal", Ping: s.starter.Ping},
		api.Check{Name: "redis", Ping: func(ctx context.Context) error { return s.redis.Ping(ctx).Err() }},
		api.Check{Name: "payment provider", Ping: onceAMinute(s.now, func(ctx context.Context) error {
			// Any answer will do; that it does not know this method is one.
			if err := s.payments.CheckMethod(ctx, "pm_card_visa"); !fault.Final(err) {
				return err
			}
			return nil
		})},
	)
	if s.publisher != nil {
		cfg.Degraded = append(cfg.Degraded, api.Check{Name: "rabbitmq", Ping: s.publisher.Ping})
	}
	return api.New(cfg)
}

// onceAMinute remembers the last answer for a minute: health is asked for often, and the provider is somebody else's machine.
func onceAMinute(now func() time.Time, ping func(ctx context.Context) error) func(ctx context.Context) error {
	var lock sync.Mutex
	var asked time.Time
	var last error
	return func(ctx context.Context) error {
		lock.Lock()
		defer lock.Unlock()
		if !asked.IsZero() && now().Sub(asked) < time.Minute {
			return last
		}
		err := ping(ctx)
		if ctx.Err() == nil { // else it is about whoever asked, and says nothing to the next one
			asked, last = now(), err
		}
		return err
	}
}
