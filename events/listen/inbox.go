package listen

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"example.com/orderly/internal/database"
)

// DefaultSchedule is the schedule of a listener that sets none: seven waits, from one second to an hour, about three hours in all.
func DefaultSchedule() []time.Duration {
	return []time.Duration{time.Second, 10 * time.Second, time.Minute, 10 * time.Minute, time.Hour, time.Hour, time.Hour}
}

// Options tune an Inbox; the zero value is what production uses.
type Options struct {
	Now      func() time.Time // the clock of what is due and leased; default the database's, SQLite's being this machine's
	Log      *slog.Logger     // default slog.Default()
	Schedule []time.Duration  // of listeners that set none; default DefaultSchedule()
	Workers  int              // events handled at once, per listener; default 2, and 8 for one with an Effect
	Poll     time.Duration    // how often an idle worker looks at the table; default 1 s
	Grace    time.Duration    // how long handlers may go on once Run is told to stop; default 10 s
}

// Inbox keeps the events received for the listeners of one database, and calls their handlers. Safe for use by several goroutines and several processes.
type Inbox struct {
	db        *database.DB
	options   Options
	listeners []*registered
	admin     bool // opened without handlers
}

// registered is a listener of an Inbox with what its workers share.
type registered struct {
	Listener
	woken    chan struct{} // receives when there may be something due; see wake
	lowWater *database.LowWater
	done     atomic.Int64 // attempts of this process, as failed
	failed   atomic.Int64
}

// Open returns the inbox of listeners in the database behind pool; engine is PostgreSQL or SQLite. The pool stays the
// caller's to close. It comes from OpenPostgres, OpenSQLite or OpenURL, or is opened as they do. An error says which listener is
// wrong and why, as when two have one name.
func Open(ctx context.Context, pool *sql.DB, engine string, listeners []Listener, options Options) (*Inbox, error) {
	for _, listener := range listeners {
		if err := listener.validate(); err != nil {
			return nil, err
		}
	}
	return open(ctx, pool, engine, listeners, options)
}

// OpenForAdmin is Open without the listeners' handlers, for Dead, Show, Replay, Drop, Stats and Prune beside the process that
// handles the events. Run returns an error.
func OpenForAdmin(ctx context.Context, pool *sql.DB, engine string, subscriptions []Subscription, options Options) (*Inbox, error) {
	listeners := make([]Listener, len(subscriptions))
	for i, subscription := range subscriptions {
		if err := subscription.validate(); err != nil {
			return nil, err
		}
		listeners[i] = Listener{Subscription: subscription}
	}
	in, err := open(ctx, pool, engine, listeners, options)
	if err != nil {
		return nil, err
	}
	in.admin = true
	return in, nil
}

func open(ctx context.Context, pool *sql.DB, engine string, listeners []Listener, options Options) (*Inbox, error) {
	if engine != PostgreSQL && engine != SQLite {
		return nil, fmt.Errorf("no inbox on engine %q: it is %q or %q", engine, PostgreSQL, SQLite)
	}
	in := &Inbox{db: database.Over("inbox", database.Engine(engine), pool), options: options.withDefaults()}
	for _, listener := range listeners {
		if in.listener(listener.Name) != nil {
			return nil, duplicate(listener.Name)
		}
		if listener.Timeout == 0 {
			listener.Timeout = defaultTimeout
		}
		if listener.Schedule == nil {
			listener.Schedule = in.options.Schedule
		}
		in.listeners = append(in.listeners, &registered{
			Listener: listener, woken: make(chan struct{}, 1), lowWater: in.newLowWater(listener.Name),
		})
	}
	if engine == SQLite {
		// Without the driver's option times would be written as text that does not sort.
		var kind string
		if err := in.db.Get(ctx, &kind, `SELECT typeof(?)`, database.At(time.Now())); err != nil {
			return nil, fmt.Errorf("open the inbox: %w", err)
		}
		if kind != "integer" {
			return nil, errors.New("open the inbox: the SQLite pool must be opened with _time_integer_format=unix_micro, as OpenSQLite does")
		}
	}
	return in, nil
}

// Now is the time by the clock that the inbox's times are by: Options.Now, or that of the database, which it asks where its time is not known.
// So Prune is to be given a time that was counted from Now. Unavailable when the database does not answer.
func (in *Inbox) Now(ctx context.Context) (time.Time, error) {
	if in.options.Now != nil {
		return in.options.Now(), nil
	}
	return in.db.Time(ctx)
}

// now is Now where the database has been asked before, as behind a claim.
func (in *Inbox) now() time.Time {
	if in.options.Now != nil {
		return in.options.Now()
	}
	return in.db.Now()
}

// Subscriptions are those of the inbox's listeners, in the order they were given to Open.
func (in *Inbox) Subscriptions() []Subscription {
	list := make([]Subscription, len(in.listeners))
	for i, listener := range in.listeners {
		list[i] = listener.Subscription
	}
	return list
}

func (in *Inbox) listener(name string) *registered {
	for _, listener := range in.listeners {
		if listener.Name == name {
			return listener
		}
	}
	return nil
}

func (l *registered) wake() {
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Schedule == nil {
		o.Schedule = DefaultSchedule()
	}
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
	if o.Grace <= 0 {
		o.Grace = 10 * time.Second
	}
	return o
}
