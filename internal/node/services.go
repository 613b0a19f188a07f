package node

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/embedded"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/journal"
	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/payments/stripe"
	"example.com/orderly/internal/sandbox"
	"example.com/orderly/internal/users"
	"example.com/orderly/workers"
)

// Services own a database each.
var Services = []string{"orders", "inventory", "payments", "users", "notifications", "journal"}

// sandboxKey is what our gateway shows a sandbox. A sandbox takes any test key and moves no money.
const sandboxKey = "sk_test_orderly"

// schemas are the tables of each service's database.
var schemas = map[string]func() []database.Migrations{
	"orders": orders.Migrations, "inventory": inventory.Migrations, "payments": payments.Migrations,
	"users": users.Migrations, "notifications": notifications.Migrations, "journal": journal.Migrations,
}

// database opens one service's database, once per process.
func (s *Stack) database(ctx context.Context, service string) (*database.DB, error) {
	if db := s.databases[service]; db != nil {
		return db, nil
	}
	how := opening{make: s.develop, wait: s.develop || s.owns(service)}
	db, there, err := openDatabase(ctx, s.cfg, service, how, s.say)
	if err != nil {
		return nil, err
	}
	s.databases[service], s.late[service] = db, !there
	s.open = append(s.open, db.Close)
	s.boxes[service] = outbox.New(db, service, s.now)
	for name, count := range map[string]struct {
		help string
		of   func() int64
	}{
		"orderly_database_statements_total": {"SQL statements this process has run.", func() int64 { return s.asked(service).statements }},
		"orderly_database_transactions_total": {
			"Transactions this process has begun, single statements among them.", func() int64 { return s.asked(service).transactions },
		},
		"orderly_database_retries_total": {"Transactions run again after a deadlock or a serialization failure.", db.Retries},
	} {
		s.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: name, Help: count.help, ConstLabels: prometheus.Labels{"database": service},
		}, func() float64 { return float64(count.of()) }))
	}
	return db, nil
}

// asked is what databases were asked for.
type asked struct{ statements, transactions int64 }

// asked is what this process has asked of a service's database, for its inbox, too.
func (s *Stack) asked(service string) asked {
	db := s.databases[service]
	total := asked{db.Statements(), db.Transactions()}
	if inbox := s.inboxOf[service]; inbox != nil {
		total.statements += inbox.Statements()
		total.transactions += inbox.Transactions()
	}
	return total
}

// owns reports that this process is of no use without the service's database. All others it only reads, and can do without for a while.
func (s *Stack) owns(service string) bool {
	return slices.ContainsFunc(s.roles, func(r Role) bool { return slices.Contains(r.owns, service) })
}

// relays has this process publish what is in the service's outbox.
func (s *Stack) relays(service string) { s.relayed = append(s.relayed, s.boxes[service]) }

func (s *Stack) openOrders(ctx context.Context) error {
	if s.orders != nil {
		return nil
	}
	if _, err := s.database(ctx, "orders"); err != nil {
		return err
	}
	s.orders = orders.New(s.boxes["orders"], s.registry)
	s.starter = workers.NewStarter(s.orders, s.log, s.now)
	return nil
}

func (s *Stack) openInventory(ctx context.Context) error {
	if s.inventory != nil {
		return nil
	}
	if _, err := s.database(ctx, "inventory"); err != nil {
		return err
	}
	s.inventory = inventory.New(s.boxes["inventory"])
	return nil
}

func (s *Stack) openPayments(ctx context.Context) error {
	if s.payments != nil {
		return nil
	}
	if err := s.openGateway(ctx); err != nil {
		return err
	}
	if _, err := s.database(ctx, "payments"); err != nil {
		return err
	}
	s.payments = payments.New(s.boxes["payments"], s.gateway)
	return nil
}

// openGateway opens the way to the payment provider, and the provider itself where none outside is named.
func (s *Stack) openGateway(ctx context.Context) (err error) {
	if s.gateway != nil {
		return nil
	}
	provider := stripe.Config{APIKey: s.cfg.StripeAPIKey, URL: s.cfg.StripeAPIURL}
	if s.cfg.EmbedsProvider() {
		if s.sandboxListener, s.SandboxAddr, err = s.bind("ORDERLY_SANDBOX_ADDR", s.cfg.SandboxAddr); err != nil {
			return err
		}
		s.sandbox, err = sandbox.Open(ctx, sandbox.Config{Dir: filepath.Join(s.cfg.Data, "sandbox"), Now: s.now, Logger: s.log})
		if err != nil {
			return err
		}
		s.open = append(s.open, s.sandbox.Close)
		provider.URL = "http://" + s.SandboxAddr
	}
	if provider.APIKey == "" {
		provider.APIKey = sandboxKey
	}
	gateway, err := stripe.New(provider)
	if err != nil {
		return err
	}
	s.gateway = gateway
	return nil
}

// openUsers opens the users service and the cache in front of it.
func (s *Stack) openUsers(ctx context.Context) error {
	if s.users != nil {
		return nil
	}
	if _, err := s.database(ctx, "users"); err != nil {
		return err
	}
	if err := s.openRedis(ctx); err != nil {
		return err
	}
	s.users = users.NewCache(s.redis, users.New(s.boxes["users"], s.now), users.CacheOptions{
		Metrics: users.NewMetrics(s.registry), Log: s.log,
	})
	s.open = append(s.open, func() error { s.users.Close(); return nil })
	return nil
}

func (s *Stack) openRedis(ctx context.Context) (err error) {
	at := s.cfg.RedisURL
	switch {
	case at == "" && !s.develop:
		// Not one of our own: what another process changes would stay in it.
		s.say("Running without a cache: REDIS_URL is not set.")
		return nil
	case at == "":
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
	return s.tryRedis(ctx)
}

// redisRefusals are how Redis begins when it does not want us, which is a matter of REDIS_URL. With anything else (a full disk, a
// script that blocks it, a start that is not finished) it will be of use again later.
var redisRefusals = []string{
	"NOAUTH ", "WRONGPASS ", "NOPERM ", "AUTH ", "Client sent AUTH", "invalid password", "DB index", "invalid DB index",
}

// tryRedis says what is wrong with the cache. One that does not serve us is no reason to wait; one that refuses us is a mistake.
func (s *Stack) tryRedis(ctx context.Context) error {
	err := s.redis.Ping(ctx).Err()
	if err == nil {
		return nil
	}
	for _, begins := range redisRefusals {
		if redis.HasErrorPrefix(err, begins) {
			return fmt.Errorf("REDIS_URL: Redis refuses us (%w); check the user, the password, its rights and the number at the end", err)
		}
	}
	s.say("Redis does not answer (REDIS_URL), running without a cache until it does: " + err.Error())
	return nil
}

// quietRedis takes what go-redis would print on stderr for every connection it can't make. That Redis is away shows in the cache's
// metrics and in /readyz.
type quietRedis struct{ log *slog.Logger }

func (q quietRedis) Printf(ctx context.Context, format string, args ...any) {
	q.log.DebugContext(ctx, "redis client", "said", fmt.Sprintf(format, args...))
}

// openNotifications opens the mails. Addresses come from the users service through its cache, not from events.
func (s *Stack) openNotifications(ctx context.Context, sender notifications.Sender) error {
	if s.notifications != nil && sender == nil {
		return nil
	}
	db, err := s.database(ctx, "notifications")
	if err != nil {
		return err
	}
	addresses := func(ctx context.Context, customerID string) (notifications.Address, error) {
		profile, err := s.users.Profile(ctx, customerID)
		return notifications.Address{Email: profile.Email, Name: profile.Name}, err
	}
	s.notifications = notifications.New(db, addresses, sender, s.now, s.log)
	return nil
}

func (s *Stack) openJournal(ctx context.Context) error {
	if s.journal != nil {
		return nil
	}
	db, err := s.database(ctx, "journal")
	if err != nil {
		return err
	}
	s.journal = journal.New(db)
	return nil
}

// newSender chooses how mails leave: over SMTP, or into a folder.
func (s *Stack) newSender() (sender notifications.Sender, err error) {
	if s.cfg.SMTPURL != "" {
		sender, err = notifications.SMTP(s.cfg.SMTPURL, s.cfg.MailFrom)
	} else {
		folder := filepath.Join(s.cfg.Data, "mails")
		if !s.develop {
			s.say("Mails are not sent but written to " + folder + ": SMTP_URL is not set.")
		}
		sender, err = notifications.Folder(folder, s.cfg.MailFrom)
	}
	if err != nil {
		return nil, fmt.Errorf("SMTP_URL or ORDERLY_MAIL_FROM: %w", err)
	}
	return sender, nil
}
