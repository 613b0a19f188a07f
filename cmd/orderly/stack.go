package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	_ "embed"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"

	"example.com/orderly/events/listen"
	"example.com/orderly/events/rabbit"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/embedded"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/journal"
	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/sandbox"
	"example.com/orderly/internal/users"
	"example.com/orderly/workers"
)

// stack is every part of the system in one process. This is where everything meets: what is real and what is embedded is
// decided here and known nowhere else.
type stack struct {
	cfg config
	log *slog.Logger
	say func(line string)
	now func() time.Time

	registry *prometheus.Registry
	open     []func() error // closers, in the order things were opened

	databases map[string]*database.DB
	outboxes  []*outbox.Outbox

	orders        *orders.Service
	inventory     *inventory.Service
	payments      *payments.Service
	users         *users.Cache
	notifications *notifications.Service
	journal       *journal.Journal
	inboxes       []*listen.Inbox
	relay         *workers.Relay
	publisher     *rabbit.Publisher // nil where events are delivered in-process, like consumer
	consumer      *rabbit.Consumer
	starter       *workers.Starter
	redis         *redis.Client

	sandbox         *sandbox.Sandbox // nil where a provider outside is used
	sandboxListener net.Listener
	apiListener     net.Listener

	// apiAddr and sandboxAddr are host:port as bound; temporalUI is the web UI's URL, set before ready is closed.
	apiAddr, sandboxAddr, temporalUI string
	ready                            chan struct{}
}

//go:embed products.json
var productList []byte

type product struct {
	SKU        string `json:"sku"`
	Name       string `json:"name"`
	PriceMinor int64  `json:"price_minor"`
	Currency   string `json:"currency"`
	OnHand     int64  `json:"on_hand"`
}

// openStack opens everything that can fail for a reason the user must mend: ports, folders, databases. Nothing runs yet.
func openStack(ctx context.Context, cfg config, log *slog.Logger, say func(line string)) (_ *stack, err error) {
	s := &stack{
		cfg: cfg, log: log, say: say, now: time.Now,
		registry: prometheus.NewRegistry(), databases: map[string]*database.DB{}, ready: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	lock, err := embedded.LockDir(cfg.Data)
	if err != nil {
		return nil, err
	}
	s.open = append(s.open, lock.Unlock)
	if s.apiListener, s.apiAddr, err = s.bind("ORDERLY_API_ADDR", cfg.APIAddr); err != nil {
		return nil, err
	}
	for _, open := range []func(context.Context) error{s.openProvider, s.openServices, s.openRedis, s.openListeners, s.seed} {
		if err := open(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// bind listens before anything else is started, so that a taken port is the first thing a user hears of.
func (s *stack) bind(setting, addr string) (net.Listener, string, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, "", fmt.Errorf("can't listen on %s (%w); choose another address with %s", addr, err, setting)
	}
	s.open = append(s.open, func() error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return listener, listener.Addr().String(), nil
}

func (s *stack) openProvider(ctx context.Context) (err error) {
	if s.cfg.StripeAPIKey != "" || s.cfg.StripeAPIURL != "" {
		return nil
	}
	if s.sandboxListener, s.sandboxAddr, err = s.bind("ORDERLY_SANDBOX_ADDR", s.cfg.SandboxAddr); err != nil {
		return err
	}
	s.sandbox, err = sandbox.Open(ctx, sandbox.Config{
		Dir: filepath.Join(s.cfg.Data, "sandbox"), APIKey: s.cfg.StripeAPIKey, Now: s.now, Logger: s.log,
	})
	if err == nil {
		s.open = append(s.open, s.sandbox.Close)
	}
	return err
}

// database opens one service's database and brings its schema up to date.
func (s *stack) database(ctx context.Context, service string, sets []database.Migrations) (*database.DB, error) {
	at, err := s.cfg.databaseURL(service)
	if err != nil {
		return nil, err
	}
	if s.cfg.DatabaseURL != "" {
		if err := database.EnsureFor(ctx, s.cfg.DatabaseURL, at); err != nil {
			return nil, err
		}
	}
	db, err := database.Open(ctx, service, at)
	if err != nil {
		return nil, err
	}
	s.open = append(s.open, db.Close)
	s.databases[service] = db
	return db, db.Migrate(ctx, sets...)
}

func (s *stack) outbox(db *database.DB) *outbox.Outbox {
	box := outbox.New(db, db.Name(), s.now)
	s.outboxes = append(s.outboxes, box)
	return box
}

func (s *stack) openServices(ctx context.Context) error {
	db, err := s.database(ctx, "orders", orders.Migrations())
	if err != nil {
		return err
	}
	s.orders = orders.New(s.outbox(db), s.registry)

	if db, err = s.database(ctx, "inventory", inventory.Migrations()); err != nil {
		return err
	}
	s.inventory = inventory.New(s.outbox(db))

	if db, err = s.database(ctx, "payments", payments.Migrations()); err != nil {
		return err
	}
	gateway := payments.StripeConfig{APIKey: s.cfg.StripeAPIKey, URL: s.cfg.StripeAPIURL}
	if s.sandbox != nil {
		gateway.URL = "http://" + s.sandboxAddr
	}
	if gateway.APIKey == "" {
		gateway.APIKey = sandboxKey
	}
	stripe, err := payments.NewStripe(gateway)
	if err != nil {
		return err
	}
	s.payments = payments.New(s.outbox(db), stripe)
	s.starter = workers.NewStarter(s.orders, s.log, s.now)
	return nil
}

// openRedis opens the users service and the cache in front of it.
func (s *stack) openRedis(ctx context.Context) error {
	db, err := s.database(ctx, "users", users.Migrations())
	if err != nil {
		return err
	}
	at := s.cfg.RedisURL
	if at == "" {
		server, err := embedded.StartRedis()
		if err != nil {
			return err
		}
		s.open = append(s.open, func() error { server.Stop(); return nil })
		at = "redis://" + server.Addr()
	}
	redis.SetLogger(quietRedis{s.log})
	if s.redis, err = users.NewRedis(at); err != nil {
		return fmt.Errorf("REDIS_URL is malformed: %w", err)
	}
	s.open = append(s.open, s.redis.Close)
	s.users = users.NewCache(s.redis, users.New(s.outbox(db), s.now), users.CacheOptions{
		Metrics: users.NewMetrics(s.registry), Log: s.log,
	})
	s.open = append(s.open, func() error { s.users.Close(); return nil })
	return nil
}

// quietRedis takes what go-redis would print on stderr for every connection it can't make. That Redis is away shows in the cache's
// metrics and in /readyz.
type quietRedis struct{ log *slog.Logger }

func (q quietRedis) Printf(ctx context.Context, format string, args ...any) {
	q.log.DebugContext(ctx, "redis client", "said", fmt.Sprintf(format, args...))
}

// seed puts the product list into the services that own its two halves. What is there already stays as it is.
func (s *stack) seed(ctx context.Context) error {
	var list []product
	if err := json.Unmarshal(productList, &list); err != nil {
		return fmt.Errorf("read the product list: %w", err)
	}
	var priced []orders.Product
	var counted []inventory.Quantity
	for _, p := range list {
		priced = append(priced, orders.Product{SKU: p.SKU, Name: p.Name, PriceMinor: p.PriceMinor, Currency: p.Currency})
		counted = append(counted, inventory.Quantity{SKU: p.SKU, Quantity: p.OnHand})
	}
	if err := s.orders.AddProducts(ctx, priced); err != nil {
		return err
	}
	return s.inventory.AddStock(ctx, counted)
}

// close closes what was opened, last first.
func (s *stack) close() error {
	var errs []error
	for i := len(s.open) - 1; i >= 0; i-- {
		errs = append(errs, s.open[i]())
	}
	s.open = nil
	return errors.Join(errs...)
}

// serveHTTP serves until ctx ends, and then lets the requests under way come to their end.
func serveHTTP(ctx context.Context, server *http.Server, listener net.Listener, beforeStop func() error) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	if beforeStop != nil {
		if err := beforeStop(); err != nil {
			return err
		}
	}
	// ctx has ended, the requests under way have not.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}
