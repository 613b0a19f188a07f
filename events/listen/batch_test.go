package listen_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
)

// alone opens an inbox with one worker that has already handled an event, so that what is stored next comes in one batch.
func (w *world) alone(listener listen.Listener) (inbox *listen.Inbox, stop func()) {
	w.t.Helper()
	inbox, err := listen.Open(w.t.Context(), w.db.Pool(), string(w.db.Engine()), []listen.Listener{listener}, listen.Options{
		Now: w.clock.now, Log: w.log, Poll: 5 * time.Millisecond, Grace: 100 * time.Millisecond, Workers: 1,
		Schedule: []time.Duration{time.Second, time.Minute},
	})
	require.NoError(w.t, err)
	stop = w.run(inbox)
	require.NoError(w.t, inbox.Store(w.t.Context(), listener.Name, messages(w.t, "first", 1)))
	w.becomes(inbox, listener.Name, "orders/first/1", "done")
	return inbox, stop
}

// three are events that come in this order in a batch, with one more behind the second.
func three(t *testing.T) []listen.Message {
	return []listen.Message{message(t, "a", 1), message(t, "b", 2), message(t, "c", 3), message(t, "b", 4)}
}

// calls counts how often a handler was called for each event.
type calls struct {
	lock  sync.Mutex
	count map[string]int
}

func (c *calls) add(id string) int {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.count == nil {
		c.count = map[string]int{}
	}
	c.count[id]++
	return c.count[id]
}

func (c *calls) of(id string) int {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.count[id]
}

func TestAnEventThatFailsInABatchHoldsBackItsSubjectAlone(t *testing.T) {
	t.Parallel()
	for name, failing := range map[string]func(ctx context.Context, tx *sqlx.Tx) error{
		"an error": func(context.Context, *sqlx.Tx) error { return errors.New("boom") },
		"a panic":  func(context.Context, *sqlx.Tx) error { panic("boom") },
		"time-out": func(ctx context.Context, _ *sqlx.Tx) error { <-ctx.Done(); return ctx.Err() },
		"statement": func(ctx context.Context, tx *sqlx.Tx) error {
			_, err := tx.ExecContext(ctx, `SELECT nonsense`)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachEngine(t, func(t *testing.T, w *world) {
				var healed atomic.Bool
				var called calls
				inbox, _ := w.alone(listen.Listener{
					Subscription: listen.Subscription{Name: "audit"}, Timeout: 200 * time.Millisecond,
					Apply: func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
						called.add(e.ID)
						if err := apply("audit")(ctx, tx, e); err != nil {
							return err
						}
						if e.ID == "orders/b/2" && !healed.Load() {
							return failing(ctx, tx)
						}
						return nil
					},
				})
				require.NoError(t, inbox.Store(t.Context(), "audit", three(t)))
				w.eventually(func() bool { return w.state(inbox, "audit", "orders/b/2").Attempts == 1 }, "the failure to be written down")
				w.becomes(inbox, "audit", "orders/c/3", "done")
				require.Equal(t, 2, called.of("orders/a/1"), "it was not in the batch that was rolled back, or handled once more than needed")
				require.ElementsMatch(t, []string{"orders/first/1", "orders/a/1", "orders/c/3"}, w.applied("audit"))
				require.Zero(t, w.state(inbox, "audit", "orders/a/1").Attempts)

				before := called.of("orders/b/2")
				w.clock.advance(time.Second)
				w.eventually(func() bool { return w.state(inbox, "audit", "orders/b/2").Attempts == 2 }, "the second failure")
				require.Equal(t, before+1, called.of("orders/b/2"), "alone in its batch, it was tried twice for one attempt")

				healed.Store(true)
				w.clock.advance(time.Minute)
				w.becomes(inbox, "audit", "orders/b/4", "done")
				require.Equal(t, []string{"orders/b/2", "orders/b/4"}, w.applied("audit")[3:])
				w.eventually(func() bool { // counted after the commit
					stats, err := inbox.Stats(t.Context())
					require.NoError(t, err)
					return stats[0].Done == 5 && stats[0].Failed == 2
				}, "each event and failure to be counted once")
			})
		})
	}
}

// A handler that overlooks the failure of a statement leaves a transaction that PostgreSQL does not commit.
func TestABatchThatCannotBeCommittedIsHandledOneByOne(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		inbox, _ := w.alone(listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
			if e.ID == "orders/c/3" {
				_, _ = tx.ExecContext(ctx, `SELECT nonsense`)
				return nil
			}
			return apply("audit")(ctx, tx, e)
		}})
		require.NoError(t, inbox.Store(t.Context(), "audit", three(t)))
		w.becomes(inbox, "audit", "orders/b/4", "done")
		require.ElementsMatch(t, []string{"orders/first/1", "orders/a/1", "orders/b/2", "orders/b/4"}, w.applied("audit"))
		if w.db.Engine() == database.PostgreSQL {
			w.eventually(func() bool { return w.state(inbox, "audit", "orders/c/3").Attempts == 1 }, "the failure to be written down")
		}
	})
}

func TestABatchThatTakesLongKeepsWhatIsDone(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		begun, goOn := make(chan struct{}, 1), make(chan struct{})
		release := sync.OnceFunc(func() { close(goOn) })
		inbox, _ := w.alone(listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
			switch e.ID {
			case "orders/a/1":
				w.clock.advance(time.Hour)
			case "orders/b/2":
				begun <- struct{}{}
				<-goOn
			}
			return apply("audit")(ctx, tx, e)
		}})
		t.Cleanup(release)
		require.NoError(t, inbox.Store(t.Context(), "audit", three(t)))
		<-begun
		require.Contains(t, w.applied("audit"), "orders/a/1", "its row is still locked")
		release()
		w.becomes(inbox, "audit", "orders/c/3", "done")
	})
}

func TestABatchEndsWithTheEventThatRunsWhenTheProcessIsToStop(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		begun, stopping := make(chan struct{}), make(chan struct{})
		inbox, stop := w.alone(listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
			if e.ID == "orders/a/1" {
				close(begun)
				<-stopping
			}
			return apply("audit")(ctx, tx, e)
		}})
		require.NoError(t, inbox.Store(t.Context(), "audit", three(t)))
		<-begun
		w.stopping = func() { close(stopping) }
		stop()
		require.Equal(t, []string{"orders/first/1", "orders/a/1"}, w.applied("audit"))
		left := w.state(inbox, "audit", "orders/b/2")
		require.Equal(t, "pending", left.State)
		require.False(t, left.NextAttempt.After(w.clock.now()), "a restart would have to wait")
	})
}

func TestABatchIsCancelledAfterTheGraceWithoutAFailure(t *testing.T) {
	t.Parallel()
	for n := range 2 {
		eachEngine(t, func(t *testing.T, w *world) {
			begun := make(chan struct{})
			inbox, stop := w.alone(listen.Listener{
				Subscription: listen.Subscription{Name: "audit"}, Timeout: time.Hour,
				Apply: func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
					if e.ID == "orders/a/1" {
						close(begun)
						<-ctx.Done()
						return ctx.Err()
					}
					return apply("audit")(ctx, tx, e)
				},
			})
			require.NoError(t, inbox.Store(t.Context(), "audit", three(t)[:n+1]))
			<-begun
			stop()
			left := w.state(inbox, "audit", "orders/a/1")
			require.Equal(t, []any{"pending", 0}, []any{left.State, left.Attempts})
			require.False(t, left.NextAttempt.After(w.clock.now()), "a restart would have to wait")
		})
	}
}

// Two processes, every event delivered twice.
func TestBatchesOfTwoProcessesApplyOnceAndInOrder(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		const subjects, each = 20, 5
		listener := listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
			var before int
			if err := tx.GetContext(ctx, &before, tx.Rebind(`SELECT COUNT(*) FROM applied WHERE event_id LIKE ?`), "orders/"+e.Subject+"/%"); err != nil {
				return err
			}
			if before != int(e.Sequence)-1 {
				t.Errorf("%s was applied after %d events of its subject", e.ID, before)
			}
			return apply("audit")(ctx, tx, e)
		}}
		one, two := w.open(listener), w.open(listener)
		w.run(one)
		w.run(two)
		for range 2 {
			for s := range subjects {
				require.NoError(t, one.Store(t.Context(), "audit", messages(t, fmt.Sprintf("s%d-", s), each)))
			}
		}
		w.eventually(func() bool { return len(w.applied("audit")) == subjects*each }, "all to be applied")
		w.eventually(func() bool {
			stats, err := one.Stats(t.Context())
			require.NoError(t, err)
			return stats[0].Pending == 0
		}, "all to be done")
		require.Len(t, w.applied("audit"), subjects*each)
	})
}

// What one process handles, and what comes after it, no other process touches.
func TestNoOtherProcessTakesTheEventsOfABatch(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		if w.db.Engine() == database.SQLite {
			t.Skip("SQLite has one writer at a time: two batches cannot overlap")
		}
		var slow atomic.Bool
		begun, goOn := make(chan struct{}), make(chan struct{})
		first, _ := w.alone(listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
			if e.ID == "orders/a/1" && slow.CompareAndSwap(false, true) {
				close(begun)
				<-goOn
			}
			return apply("audit")(ctx, tx, e)
		}})
		release := sync.OnceFunc(func() { close(goOn) })
		t.Cleanup(release)
		require.NoError(t, first.Store(t.Context(), "audit", append(three(t), message(t, "a", 2))))
		<-begun
		second := w.open(listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: apply("audit")})
		w.run(second)
		require.NoError(t, second.Store(t.Context(), "audit", messages(t, "d", 3)))
		w.becomes(second, "audit", "orders/d/3", "done")
		require.ElementsMatch(t, []string{"orders/first/1", "orders/d/1", "orders/d/2", "orders/d/3"}, w.applied("audit"))
		release()
		w.becomes(second, "audit", "orders/a/2", "done")
		w.becomes(second, "audit", "orders/b/4", "done")
		require.Len(t, w.applied("audit"), 9)
	})
}
