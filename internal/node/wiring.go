package node

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/orderly/api"
	"example.com/orderly/events/listen"
	"example.com/orderly/events/local"
	"example.com/orderly/events/rabbit"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/journal"
	"example.com/orderly/internal/node/lifecycle"
	"example.com/orderly/internal/notifications"
	"example.com/orderly/workers"
)

// BuiltIn are the subscriptions of our own listeners, by the service that holds their inbox.
func BuiltIn() map[string]listen.Subscription {
	return map[string]listen.Subscription{"notifications": notifications.Subscription, "journal": journal.Subscription}
}

// openListenersRole opens the services that only listen, each with an inbox in its own database. A new listener of ours is wired
// here and in BuiltIn; one that lives elsewhere is not known here at all.
func (s *Stack) openListenersRole(ctx context.Context) error {
	if err := s.openUsers(ctx); err != nil {
		return err
	}
	sender, err := s.newSender()
	if err != nil {
		return err
	}
	if err := s.openNotifications(ctx, sender); err != nil {
		return err
	}
	if err := s.openJournal(ctx); err != nil {
		return err
	}
	for service, listener := range map[string]listen.Listener{
		"notifications": s.notifications.Listener(), "journal": s.journal.Listener(),
	} {
		if err := s.listener(ctx, service, listener); err != nil {
			return err
		}
	}
	s.registry.MustRegister(workers.Inboxes{Inboxes: s.inboxes, Now: s.now})
	if s.cfg.RabbitMQURL == "" {
		return nil
	}
	if s.consumer, err = rabbit.NewConsumer(s.rabbit(), s.inboxes...); err != nil {
		return err
	}
	s.registry.MustRegister(s.consumer)
	return nil
}

func (s *Stack) listener(ctx context.Context, service string, listener listen.Listener) error {
	db := s.databases[service]
	inbox, err := listen.Open(ctx, db.Pool(), string(db.Engine()), []listen.Listener{listener}, listen.Options{Now: s.now, Log: s.log})
	if err != nil {
		return err
	}
	s.inboxes, s.inboxOf[service] = append(s.inboxes, inbox), inbox
	return nil
}

// rabbit is the broker, to which our connections show what they are.
func (s *Stack) rabbit() rabbit.Config {
	host, _ := os.Hostname() // only for people to read
	return rabbit.Config{URL: s.cfg.RabbitMQURL, Prefix: s.cfg.RabbitMQPrefix, Log: s.log, Name: "orderly " + strings.Join(RoleNames(s.roles), ",") + "@" + host}
}

// openRelay opens what carries the events, and the relay that hands them over: RabbitMQ where it is named, else straight into the
// inboxes of this process.
func (s *Stack) openRelay(ctx context.Context) (err error) {
	if s.cfg.RabbitMQURL != "" {
		if err := s.tryRabbit(ctx); err != nil {
			return err
		}
	}
	if len(s.relayed) == 0 {
		return nil
	}
	var transport workers.Transport
	if s.cfg.RabbitMQURL == "" {
		transport, err = local.New(s.inboxes...)
	} else {
		subscriptions := slices.Collect(maps.Values(BuiltIn()))
		if s.publisher, err = rabbit.NewPublisher(s.rabbit(), subscriptions...); err != nil {
			return err
		}
		s.open = append(s.open, s.publisher.Close)
		s.registry.MustRegister(s.publisher)
		transport = s.publisher
	}
	if err == nil {
		s.relay, err = workers.NewRelay(s.relayed, transport, s.registry, s.log)
	}
	return err
}

// tryRabbit says at once what waiting can't mend; a broker that is not up yet is waited for by whoever needs it.
func (s *Stack) tryRabbit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lifecycle.TryFor)
	defer cancel()
	err := rabbit.Check(ctx, s.rabbit())
	if errors.Is(err, rabbit.ErrSetup) {
		return err
	}
	if err != nil {
		s.say("Waiting for RabbitMQ (RABBITMQ_URL): " + err.Error())
	}
	return nil
}

// api is the API, or of a process that has not that role the part of it that tells about its health.
func (s *Stack) api() *api.API {
	cfg := api.Config{Registerer: s.registry, Gatherer: s.registry, Logger: s.log, Now: s.now}
	for name, db := range s.databases {
		check := api.Check{Name: name + " database", Ping: db.Ping}
		if s.late[name] {
			check.Ping = lookAtSchemaOnce(db, schemas[name]())
		}
		if s.owns(name) {
			cfg.Ready = append(cfg.Ready, check)
		} else {
			cfg.Degraded = append(cfg.Degraded, check)
		}
	}
	cfg.Degraded = append(cfg.Degraded, s.degraded()...)
	if !has(s.roles, "api") {
		return api.NewHealth(cfg)
	}
	cfg.Orders, cfg.Stock, cfg.Users = s.orders, s.inventory, s.users
	cfg.Timeline, cfg.Mails = s.journal.Events, s.notifications.Mails
	cfg.CheckMethod = s.gateway.Method
	cfg.StartSaga, cfg.AwaitEnd = s.starter.Enqueue, s.starter.Await
	return api.New(cfg)
}

// degraded are the things this process can do without for a while, databases apart.
func (s *Stack) degraded() []api.Check {
	var checks []api.Check
	if s.temporal != nil {
		checks = append(checks, api.Check{Name: "temporal", Ping: s.temporal.Ping})
	}
	if s.redis != nil {
		checks = append(checks, api.Check{Name: "redis", Ping: func(ctx context.Context) error { return s.redis.Ping(ctx).Err() }})
	}
	if s.gateway != nil {
		checks = append(checks, api.Check{Name: "payment provider", Ping: onceAMinute(s.now, func(ctx context.Context) error {
			// Any answer will do; that it does not know this method is one.
			if err := s.gateway.Method(ctx, "pm_card_visa"); !fault.Final(err) {
				return err
			}
			return nil
		})})
	}
	switch {
	case s.publisher != nil:
		checks = append(checks, api.Check{Name: "rabbitmq", Ping: s.publisher.Ping})
	case s.consumer != nil:
		checks = append(checks, api.Check{Name: "rabbitmq", Ping: s.consumer.Ping})
	}
	return checks
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
