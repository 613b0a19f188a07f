// Package listen receives events. A Listener says which types it wants and handles them; an Inbox keeps, in the listener's own
// database, every event that arrived and its state. A transport stores events in the inbox and is done with them; retries, dead
// events, replay and order are columns of one table.
//
// The promise: every event at least once, applied once, in order per source and subject.
package listen

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/orderly/events"
)

// defaultTimeout bounds one attempt at one event.
const defaultTimeout = 10 * time.Second

// Subscription is who listens and to what: all that routing an event takes. It is a plain value, so that a process that only
// publishes can hold the subscriptions of listeners that run elsewhere.
type Subscription struct {
	// Name is the listener's name and that of its queue: 1 to 100 lower-case letters, digits, '.', '_' and '-'. A renamed
	// listener is a new one: it gets a queue of its own, and what the old one still had to do is not done.
	Name string
	// Types are the event types it wants; none means every type.
	Types []string
	// UnknownTypes says, of a listener to every type, that it takes events of types that this version does not know, as a newer publisher
	// sends. It is for a listener that records events and decodes none: without it, such an event is dead until a version that knows its
	// type replays it.
	UnknownTypes bool
}

// Wants reports whether the listener asked for events of this type.
func (s Subscription) Wants(eventType string) bool {
	return len(s.Types) == 0 || slices.Contains(s.Types, eventType)
}

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`)

func (s Subscription) validate() error {
	switch {
	case !validName.MatchString(s.Name):
		return fmt.Errorf("listener %q: a name is 1-100 of a-z, 0-9, '.', '_', '-'", s.Name)
	case slices.Contains(s.Types, ""):
		return fmt.Errorf("listener %q: an event type is empty", s.Name)
	case s.UnknownTypes && len(s.Types) > 0:
		return fmt.Errorf("listener %q names its types and takes unknown ones: it gets only those that it names", s.Name)
	}
	return nil
}

// Listener is one consumer of events.
type Listener struct {
	Subscription
	// Unordered lets later events of a subject pass one that is dead. One that waits for its next attempt is never passed.
	Unordered bool
	// Timeout bounds one attempt, the transaction included; 0 means 10 s. The functions below must stop when their context ends.
	Timeout time.Duration
	// Schedule is how long an event waits after its first, second, ... failed attempt before it is tried again. When it fails
	// once more after the last wait, or with a Permanent error, it is dead: it is kept with its reason, is not tried again, and
	// holds back later events of its subject unless the listener is Unordered, until an operator replays or drops it. nil means
	// Options.Schedule; an empty slice makes the first failure final. While an event waits, later ones of its subject wait, too.
	Schedule []time.Duration

	// Exactly one of Apply and Effect is set.

	// Apply is for a listener that only writes to its own database. It runs in one transaction with the mark that the event is
	// done, so its changes are kept exactly once. It may be called again for the same event after its transaction was rolled
	// back. It must have no effect outside tx, and use no other connection of the same pool. Placeholders are those of the
	// engine; tx.Rebind translates ?.
	Apply func(ctx context.Context, tx *sqlx.Tx, e events.Event) error
	// Effect is for a listener that does what cannot be rolled back, such as sending a mail. It runs before the transaction, at
	// least once per event, and must be idempotent by e.ID. It returns what is to be written down about it; nil means nothing.
	Effect func(ctx context.Context, e events.Event) (Record, error)
}

// Record writes what an Effect did into the listener's own database, in one transaction with the mark that the event is done. Where an
// Effect has run more than once, only the Record of the attempt that finished the event is kept. Like Apply it may be called again after
// its transaction was rolled back, and it must have no effect outside tx.
type Record func(ctx context.Context, tx *sqlx.Tx) error

func (l Listener) validate() error {
	if err := l.Subscription.validate(); err != nil {
		return err
	}
	switch {
	case l.Effect == nil && l.Apply == nil:
		return fmt.Errorf("listener %q has nothing to do: set Apply or Effect", l.Name)
	case l.Effect != nil && l.Apply != nil:
		return fmt.Errorf("listener %q sets both Apply and Effect: what an Effect writes to the database is in the Record it returns", l.Name)
	case l.Timeout < 0:
		return fmt.Errorf("listener %q: the time-out %s is negative", l.Name, l.Timeout)
	case slices.ContainsFunc(l.Schedule, func(wait time.Duration) bool { return wait < 0 }):
		return fmt.Errorf("listener %q: a wait of the schedule %v is negative", l.Name, l.Schedule)
	}
	return nil
}

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks err, returned by Apply, Effect or Record, as one that no further attempt can mend: the event is dead at once. A nil
// err stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// Unique returns an error that names the first listener that is in two of these inboxes, or in one inbox that is given twice. A name
// is a queue, and a queue delivers to one consumer at a time: the second listener would get nothing while the first one is there.
// Only the inboxes of one process can be checked. Of two processes with the same listener the second one waits, connected and
// silent, until the first one is gone; that is meant for two copies of one program, and a mistake for two programs.
func Unique(inboxes ...*Inbox) error {
	seen := map[string]bool{}
	for _, inbox := range inboxes {
		for _, listener := range inbox.listeners {
			if seen[listener.Name] {
				return duplicate(listener.Name)
			}
			seen[listener.Name] = true
		}
	}
	return nil
}

func duplicate(name string) error {
	return fmt.Errorf("two listeners are called %q: the name is the queue, so each needs its own", name)
}

func isPermanent(err error) bool {
	_, is := errors.AsType[permanent](err)
	return is
}
