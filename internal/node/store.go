package node

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/node/lifecycle"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/system"
)

// store is the database of one service, as this process uses it.
type store struct {
	service    string
	setting    string // that names the database
	migrations []database.Migrations
	db         *database.DB
	box        *outbox.Outbox
	inbox      *listen.Inbox // nil where this process runs no listener of the service
	// runs says that this process runs the service, and does not only read it.
	runs bool
	// late says that the database was away when the store was opened, so that neither its schema nor its system is checked yet.
	late bool
}

// openStore opens a service's database. wait waits for a server that is not up yet.
func openStore(ctx context.Context, p process, of Service, wait bool) (*store, error) {
	how := opening{make: p.develop, wait: p.develop || wait}
	db, there, err := openDatabase(ctx, p.cfg, of.Name, of.schema(), how, p.say)
	if err != nil {
		return nil, err
	}
	p.closers.Add(db.Close)
	s := &store{
		service: of.Name, setting: p.cfg.DatabaseSetting(of.Name), migrations: of.schema(),
		db: db, box: outbox.New(db, of.Name, nil), late: !there,
	}
	s.count(p.metrics)
	return s, nil
}

// count registers the counters of what this process asks of the database.
func (s *store) count(metrics prometheus.Registerer) {
	for name, counter := range map[string]struct {
		help string
		of   func() int64
	}{
		"orderly_database_statements_total":   {"SQL statements this process has run.", s.statements},
		"orderly_database_transactions_total": {"Transactions this process has begun, single statements among them.", s.transactions},
		"orderly_database_retries_total":      {"Transactions run again after a deadlock or a serialization failure.", s.db.Retries},
	} {
		metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: name, Help: counter.help, ConstLabels: prometheus.Labels{"database": s.service},
		}, func() float64 { return float64(counter.of()) }))
	}
	metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "orderly_clock_ahead_seconds", ConstLabels: prometheus.Labels{"database": s.service},
		Help: "How far the clock of this process is ahead of that of the database, negative when it is behind.",
	}, func() float64 { return s.db.Ahead().Seconds() }))
}

func (s *store) statements() int64 {
	if s.inbox == nil {
		return s.db.Statements()
	}
	return s.db.Statements() + s.inbox.Statements()
}

func (s *store) transactions() int64 {
	if s.inbox == nil {
		return s.db.Transactions()
	}
	return s.db.Transactions() + s.inbox.Transactions()
}

// ping asks whether the database answers, and where it is written to, whether it takes writes. Of one that was away at the start it also checks
// the schema, and that it belongs to the system of the others, until both are right.
func (s *store) ping(writes bool, ours system.ID) func(ctx context.Context) error {
	ping := s.db.Ping
	if writes {
		ping = func(ctx context.Context) error {
			return s.db.Writable(ctx, func(ctx context.Context) error { return checkSchema(ctx, s.db, s.migrations) })
		}
	}
	if !s.late {
		return ping
	}
	var checked atomic.Bool
	return func(ctx context.Context) error {
		if checked.Load() {
			return ping(ctx)
		}
		err := checkSchema(ctx, s.db, s.migrations)
		if err == nil {
			err = s.named().Belongs(ctx, ours)
		}
		checked.Store(err == nil)
		return err
	}
}

// opening is how a database is opened.
type opening struct {
	// make makes the database where it is missing, and migrates it. Otherwise an older schema is refused; a newer one is not.
	make bool
	// wait retries until the server is up. Otherwise the result is a DB that connects on first use.
	wait bool
}

// openDatabase opens a service's database; there is false where the server was not up and wait is false. Every error names the variable
// and the remedy.
func openDatabase(
	ctx context.Context, c config.Config, service string, migrations []database.Migrations, how opening, say func(string),
) (db *database.DB, there bool, err error) {
	setting := c.DatabaseSetting(service)
	at, err := c.DatabaseOf(service)
	if err != nil {
		return nil, false, fmt.Errorf("%s is malformed: the URL can't be read", setting)
	}
	if how.make {
		if past, err := c.Direct().DatabaseOf(service); err == nil && past != at {
			if err := migratePast(ctx, c.Direct(), service, migrations, say); err != nil {
				return nil, false, err
			}
			how.make = false
		} else if database.Pooled(at) {
			return nil, false, fmt.Errorf("%s leads to a pooler in transaction mode, through which nothing can be migrated: name the server itself in %s",
				setting, c.DirectSetting(service))
		}
	}
	what := "the " + service + " database (" + setting + ")"
	pooler := pooler{patience: poolerPatience}
	open := func(ctx context.Context) (err error) {
		db, err = database.Open(ctx, service, at)
		if how.make && c.DatabaseURL != "" && errors.Is(err, database.ErrNoDatabase) {
			// Only after Open has failed: EnsureFor connects to the database postgres, which a login for one's own database may not reach.
			if err = database.EnsureFor(ctx, c.DatabaseURL, at); err == nil {
				db, err = database.Open(ctx, service, at)
			}
		}
		if err == nil && !how.make {
			if err = checkSchema(ctx, db, migrations); err != nil {
				err = errors.Join(err, db.Close())
			}
		}
		return pooler.bounded(err)
	}
	if how.wait {
		err = lifecycle.WaitFor(ctx, say, what, open)
	} else if err = lifecycle.Briefly(ctx, open); fault.KindOf(err) == fault.Unavailable && ctx.Err() == nil {
		say("Going on without " + what + " until it is there: " + err.Error())
		db, err = database.Later(service, at)
		return db, false, err
	}
	if err == nil && how.make {
		if err = db.Migrate(ctx, migrations...); err != nil {
			err = errors.Join(err, db.Close())
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", setting, err)
	}
	return db, true, nil
}

// migratePast makes the database and brings it up to date past the pooler.
func migratePast(ctx context.Context, direct config.Config, service string, migrations []database.Migrations, say func(string)) error {
	db, _, err := openDatabase(ctx, direct, service, migrations, opening{make: true, wait: true}, say)
	if err != nil {
		return err
	}
	return db.Close()
}

// poolerPatience is how long to wait for a pooler that refuses without saying why. A server behind it that restarts is back sooner, and a name
// that is wrong stays wrong.
const poolerPatience = 30 * time.Second

// pooler bounds the wait for a pooler that refuses.
type pooler struct {
	patience time.Duration
	since    time.Time
}

// bounded returns err; once a pooler has refused for longer than the patience, without what would have it waited for.
func (p *pooler) bounded(err error) error {
	switch {
	case !errors.Is(err, database.ErrPooler):
		p.since = time.Time{}
	case p.since.IsZero():
		p.since = time.Now()
	case time.Since(p.since) > p.patience:
		return errors.New(err.Error())
	}
	return err
}

func checkSchema(ctx context.Context, db *database.DB, sets []database.Migrations) error {
	set, err := db.Pending(ctx, sets...)
	if err != nil {
		return err
	}
	if set != "" {
		return fmt.Errorf("the %s database has an older schema (its %s tables): run orderly migrate", db.Name(), set)
	}
	return db.CheckRights(ctx, sets...)
}
