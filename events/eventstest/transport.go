package eventstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
)

// Running is a transport that was started, between a relay and some inboxes.
type Running struct {
	// Publish is given messages as by a relay: a subject's next one only after the one before was confirmed.
	Publish func(ctx context.Context, messages []listen.Message) []error
	// Stop ends it; what it has confirmed by then must still arrive when it is started again for the same inboxes.
	Stop func()
}

// Start starts the transport under test so that what is published reaches the listeners of these inboxes. It is called again,
// with the same inboxes, after Stop.
type Start func(t *testing.T, inboxes ...*listen.Inbox) Running

// Transport is the conformance suite: what every transport must do.
func Transport(t *testing.T, start Start) {
	t.Run("every event reaches every listener that wants it, in order per subject", func(t *testing.T) {
		t.Parallel()
		all, some := newListener("all"), newListener("some", events.OrderParked{}.EventType())
		s := newStage(t, start, all, some)
		for _, subject := range []string{"a", "b", "c"} {
			s.publish(eventsAbout(subject)...)
		}
		for _, subject := range []string{"a", "b", "c"} {
			s.handled(all, subject, 1, 2, 3, 4)
			s.handled(some, subject, 2, 4)
		}
	})
	t.Run("an event that is published again is applied once", func(t *testing.T) {
		t.Parallel()
		all := newListener("all")
		s := newStage(t, start, all)
		s.publish(eventsAbout("a")...)
		s.publish(eventsAbout("a")...)
		s.publish(eventsAbout("b")...)
		s.handled(all, "b", 1, 2, 3, 4)
		s.handled(all, "a", 1, 2, 3, 4)
	})
	t.Run("a listener that always fails harms nothing else", func(t *testing.T) {
		t.Parallel()
		broken, all := newListener("broken"), newListener("all")
		broken.failing.Store(true)
		s := newStage(t, start, broken, all)
		s.publish(eventsAbout("a")...)
		s.handled(all, "a", 1, 2, 3, 4)
		s.dead(broken, 1)
		if got := broken.seen("a"); len(got) > 0 {
			t.Fatalf("events %v passed the dead one", got)
		}
	})
	t.Run("a message that cannot be decoded is dead and holds up nothing", func(t *testing.T) {
		t.Parallel()
		all := newListener("all")
		s := newStage(t, start, all)
		s.send(listen.Message{ID: "orders/a/1", Type: events.OrderParked{}.EventType(), Body: []byte("{\xff")})
		s.publish(eventsAbout("a")...)
		s.handled(all, "a", 1, 2, 3, 4)
		s.dead(all, 1)
	})
	t.Run("it goes on after a restart", func(t *testing.T) {
		t.Parallel()
		all := newListener("all")
		s := newStage(t, start, all)
		list := eventsAbout("a")
		s.publish(list[:2]...)
		s.restart()
		s.publish(list[2:]...)
		s.handled(all, "a", 1, 2, 3, 4)
	})
}

func eventsAbout(subject string) []events.Event {
	parked, resumed := events.OrderParked{OrderID: subject}, events.OrderResumed{OrderID: subject}
	return Events("orders", subject, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), resumed, parked, resumed, parked)
}

// listener remembers the sequences it has applied, by subject, in the order in which it did.
type listener struct {
	listen.Listener
	failing atomic.Bool
	lock    sync.Mutex
	applied map[string][]int64
}

func newListener(name string, types ...string) *listener {
	l := &listener{applied: map[string][]int64{}}
	l.Listener = listen.Listener{Subscription: listen.Subscription{Name: name, Types: types}, Apply: func(_ context.Context, _ *sqlx.Tx, e events.Event) error {
		if l.failing.Load() {
			return errors.New("this listener always fails")
		}
		l.lock.Lock()
		defer l.lock.Unlock()
		l.applied[e.Subject] = append(l.applied[e.Subject], e.Sequence)
		return nil
	}}
	return l
}

func (l *listener) seen(subject string) []int64 {
	l.lock.Lock()
	defer l.lock.Unlock()
	return slices.Clone(l.applied[subject])
}

// stage is the transport with one inbox, in a database of its own, per listener.
type stage struct {
	t       *testing.T
	start   Start
	inboxes []*listen.Inbox
	running Running
}

func newStage(t *testing.T, start Start, listeners ...*listener) *stage {
	t.Helper()
	s := &stage{t: t, start: start}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, l := range listeners {
		inbox, err := listen.Open(ctx, SQLite(t), listen.SQLite, []listen.Listener{l.Listener}, listen.Options{
			Poll: 5 * time.Millisecond, Schedule: []time.Duration{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		if err == nil {
			err = inbox.Migrate(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		s.inboxes = append(s.inboxes, inbox)
		all.Go(func() { _ = inbox.Run(ctx) })
	}
	t.Cleanup(func() { s.running.Stop(); cancel(); all.Wait() })
	s.running = start(t, s.inboxes...)
	return s
}

func (s *stage) restart() {
	s.running.Stop()
	s.running = s.start(s.t, s.inboxes...)
}

// publish publishes events one after the other, each again until it is confirmed.
func (s *stage) publish(list ...events.Event) {
	s.t.Helper()
	for _, event := range list {
		message, err := listen.Encode(event)
		if err != nil {
			s.t.Fatal(err)
		}
		s.send(message)
	}
}

func (s *stage) send(message listen.Message) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("%s to be confirmed", message.ID), func(ctx context.Context) error {
		return s.running.Publish(ctx, []listen.Message{message})[0]
	})
}

func (s *stage) handled(l *listener, subject string, want ...int64) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("listener %s to handle %s", l.Name, subject), func(context.Context) error {
		if got := l.seen(subject); len(got) < len(want) {
			return fmt.Errorf("only %v so far", got)
		}
		return nil
	})
	if got := l.seen(subject); !slices.Equal(got, want) {
		s.t.Fatalf("listener %s applied %v of %s, want %v", l.Name, got, subject, want)
	}
}

func (s *stage) dead(l *listener, want int) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("listener %s to give up on %d", l.Name, want), func(ctx context.Context) error {
		for _, inbox := range s.inboxes {
			if inbox.Subscriptions()[0].Name != l.Name {
				continue
			}
			dead, err := inbox.Dead(ctx, l.Name, 100)
			if err != nil {
				return err
			}
			if len(dead) != want {
				return fmt.Errorf("%d are dead", len(dead))
			}
		}
		return nil
	})
}

func (s *stage) eventually(what string, condition func(ctx context.Context) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("waited %s for %s: %v", patience, what, err)
		}
	}
}
