package listen_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
)

// Two processes, every event delivered twice.
func TestEveryEventIsAppliedOnceAndInOrder(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		const subjects, each = 6, 5
		var lock sync.Mutex
		order := map[string][]int64{}
		running := map[string]int{}
		listener := listen.Listener{
			Subscription: listen.Subscription{Name: "audit"},
			Effect: func(_ context.Context, e events.Event) (listen.Record, error) {
				lock.Lock()
				defer lock.Unlock()
				running[e.Subject]++
				if running[e.Subject] > 1 {
					t.Errorf("two events of %s are handled at once", e.Subject)
				}
				return func(ctx context.Context, tx *sqlx.Tx) error {
					lock.Lock()
					running[e.Subject]--
					order[e.Subject] = append(order[e.Subject], e.Sequence)
					lock.Unlock()
					return apply("audit")(ctx, tx, e)
				}, nil
			},
		}
		one, two := w.open(listener), w.open(listener)
		w.run(one)
		w.run(two)
		for range 2 {
			for s := range subjects {
				require.NoError(t, one.Store(t.Context(), "audit", messages(t, fmt.Sprint("s", s), each)))
			}
		}
		w.eventually(func() bool {
			stats, err := one.Stats(t.Context())
			require.NoError(t, err)
			return stats[0].Pending == 0
		}, "all to be done")
		require.Len(t, w.applied("audit"), subjects*each)
		for s := range subjects {
			require.Equal(t, []int64{1, 2, 3, 4, 5}, order[fmt.Sprint("s", s)])
		}
	})
}

func TestAFailedApplyLeavesNothingAndIsRepeated(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		for name, failing := range map[string]func(ctx context.Context) error{
			"error":    func(context.Context) error { return errors.New("boom") },
			"panic":    func(context.Context) error { panic("boom") },
			"time-out": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		} {
			attempts := atomic.Int64{}
			inbox := w.open(listen.Listener{
				Subscription: listen.Subscription{Name: name}, Timeout: 200 * time.Millisecond,
				Apply: func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
					if err := apply(name)(ctx, tx, e); err != nil {
						return err
					}
					if attempts.Add(1) == 1 {
						return failing(ctx)
					}
					return nil
				},
			})
			stop := w.run(inbox)
			require.NoError(t, inbox.Store(t.Context(), name, messages(t, "a", 1)))
			w.eventually(func() bool { return w.state(inbox, name, "orders/a/1").Attempts == 1 }, "the first attempt to fail")
			require.Equal(t, "pending", w.state(inbox, name, "orders/a/1").State)
			require.NotEmpty(t, w.state(inbox, name, "orders/a/1").Reason)
			require.Empty(t, w.applied(name))

			w.clock.advance(time.Second)
			w.becomes(inbox, name, "orders/a/1", "done")
			require.Len(t, w.applied(name), 1)
			stop()
		}
	})
}

func TestTheMarkAndWhatAnEffectRecordsAreOneCommit(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		for name, failing := range map[string]func(ctx context.Context) error{
			"error":    func(context.Context) error { return errors.New("boom") },
			"panic":    func(context.Context) error { panic("boom") },
			"time-out": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		} {
			var effects, records calls
			inbox := w.open(listen.Listener{
				Subscription: listen.Subscription{Name: name}, Timeout: 200 * time.Millisecond,
				Effect: func(ctx context.Context, e events.Event) (listen.Record, error) {
					if effects.add(e.ID) == 1 {
						return nil, failing(ctx)
					}
					return func(ctx context.Context, tx *sqlx.Tx) error {
						if err := apply(name)(ctx, tx, e); err != nil {
							return err
						}
						if records.add(e.ID) == 1 {
							return failing(ctx)
						}
						return nil
					}, nil
				},
			})
			stop := w.run(inbox)
			require.NoError(t, inbox.Store(t.Context(), name, messages(t, "a", 1)))
			for attempt, wait := range []time.Duration{time.Second, time.Minute} {
				w.eventually(func() bool { return w.state(inbox, name, "orders/a/1").Attempts == attempt+1 }, "attempt %d to fail", attempt+1)
				require.Equal(t, "pending", w.state(inbox, name, "orders/a/1").State)
				require.Empty(t, w.applied(name), "a record was kept without the mark")
				w.clock.advance(wait)
			}
			w.becomes(inbox, name, "orders/a/1", "done")
			require.Len(t, w.applied(name), 1)
			require.Equal(t, 3, effects.of("orders/a/1"))
			stop()
		}
	})
}

func TestEachListenerKeepsItsOwnSchedule(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		failing := func(name string, schedule []time.Duration) listen.Listener {
			return listen.Listener{
				Subscription: listen.Subscription{Name: name}, Schedule: schedule,
				Apply: func(context.Context, *sqlx.Tx, events.Event) error { return errors.New("always") },
			}
		}
		inbox := w.open(failing("default", nil), failing("never", []time.Duration{}), failing("daily", []time.Duration{24 * time.Hour}))
		began := w.clock.now()
		w.run(inbox)
		failed := func(name string, attempts int, state string) listen.Entry {
			w.eventually(func() bool {
				entry := w.state(inbox, name, "orders/a/1")
				return entry.Attempts == attempts && entry.State == state
			}, "%s to be %s after %d attempts", name, state, attempts)
			return w.state(inbox, name, "orders/a/1")
		}
		for _, s := range inbox.Subscriptions() {
			require.NoError(t, inbox.Store(t.Context(), s.Name, messages(t, "a", 1)))
		}
		failed("never", 1, "dead")
		require.Equal(t, began.Add(time.Second), failed("default", 1, "pending").NextAttempt.UTC())
		require.Equal(t, began.Add(24*time.Hour), failed("daily", 1, "pending").NextAttempt.UTC())
		w.clock.advance(time.Second)
		require.Equal(t, w.clock.now().Add(time.Minute), failed("default", 2, "pending").NextAttempt.UTC())
		w.clock.advance(24 * time.Hour)
		failed("default", 3, "dead")
		failed("daily", 2, "dead")
	})
}

func TestAnEffectMayRecordNothing(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		inbox := w.open(listen.Listener{
			Subscription: listen.Subscription{Name: "audit"},
			Effect:       func(context.Context, events.Event) (listen.Record, error) { return nil, nil },
		})
		w.run(inbox)
		require.NoError(t, inbox.Store(t.Context(), "audit", messages(t, "a", 1)))
		w.becomes(inbox, "audit", "orders/a/1", "done")
	})
}

// The first process is frozen in the middle of an attempt; a second one takes over when the lease ends; the first one thaws.
func TestAnEventThatAnotherProcessFinishedIsNotAppliedAgain(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		var froze atomic.Bool
		frozen, thaw := make(chan struct{}), make(chan struct{})
		first := w.open(listen.Listener{
			Subscription: listen.Subscription{Name: "audit"}, Timeout: time.Minute,
			Effect: func(_ context.Context, e events.Event) (listen.Record, error) {
				if froze.CompareAndSwap(false, true) {
					close(frozen)
					<-thaw
				}
				return recordOf("audit", e), nil
			},
		})
		stop := w.run(first)
		release := sync.OnceFunc(func() { close(thaw) })
		t.Cleanup(release)
		require.NoError(t, first.Store(t.Context(), "audit", messages(t, "a", 1)))
		<-frozen
		w.clock.advance(time.Hour)
		second := w.open(listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: apply("audit")})
		w.run(second)
		w.becomes(second, "audit", "orders/a/1", "done")
		release()
		stop() // returns when the thawed attempt has ended
		require.Equal(t, []string{"orders/a/1"}, w.applied("audit"))
		require.Zero(t, w.state(second, "audit", "orders/a/1").Attempts)
	})
}

func TestAnEventThatWaitsForItsNextAttemptHoldsBackItsSubjectAlone(t *testing.T) {
	t.Parallel()
	for _, unordered := range []bool{false, true} {
		eachEngine(t, func(t *testing.T, w *world) {
			var healed atomic.Bool
			inbox := w.open(listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Unordered: unordered, Apply: func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
				if e.ID == "orders/a/1" && !healed.Load() {
					return errors.New("not yet")
				}
				return apply("audit")(ctx, tx, e)
			}})
			w.run(inbox)
			require.NoError(t, inbox.Store(t.Context(), "audit", append(messages(t, "a", 2), messages(t, "b", 2)...)))
			w.becomes(inbox, "audit", "orders/b/2", "done")
			w.eventually(func() bool { return w.state(inbox, "audit", "orders/a/1").Attempts == 1 }, "the failure to be written down")
			require.Equal(t, []string{"orders/b/1", "orders/b/2"}, w.applied("audit"))

			healed.Store(true)
			w.clock.advance(time.Second)
			w.becomes(inbox, "audit", "orders/a/2", "done")
			require.Equal(t, []string{"orders/b/1", "orders/b/2", "orders/a/1", "orders/a/2"}, w.applied("audit"))
		})
	}
}

func TestAListenerWhoseHandlerAlwaysFailsHarmsNothingElse(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		inbox := w.open(
			listen.Listener{Subscription: listen.Subscription{Name: "panics"}, Apply: func(context.Context, *sqlx.Tx, events.Event) error { panic("always") }},
			listen.Listener{Subscription: listen.Subscription{Name: "hangs"}, Timeout: time.Hour, Effect: func(ctx context.Context, _ events.Event) (listen.Record, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}},
			listen.Listener{Subscription: listen.Subscription{Name: "sound"}, Apply: apply("sound")},
		)
		w.run(inbox)
		for _, listener := range inbox.Subscriptions() {
			for s := range 4 {
				require.NoError(t, inbox.Store(t.Context(), listener.Name, messages(t, fmt.Sprint("s", s), 3)))
			}
		}
		w.eventually(func() bool { return len(w.applied("sound")) == 12 }, "the sound listener to apply everything")
		for attempt := 1; attempt <= 3; attempt++ {
			for s := range 4 {
				id := fmt.Sprintf("orders/s%d/1", s)
				w.eventually(func() bool { return w.state(inbox, "panics", id).Attempts == attempt }, "attempt %d at %s", attempt, id)
			}
			w.clock.advance(time.Hour)
		}
		w.becomes(inbox, "panics", "orders/s0/1", "dead")
		require.Contains(t, w.state(inbox, "panics", "orders/s0/1").Reason, "panic: always")
		require.Equal(t, 3, w.state(inbox, "panics", "orders/s0/1").Attempts)
	})
}

func TestTheListenersDatabaseFailingPausesItWithoutCostingAttempts(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		var log lockedBuffer
		w.log = slog.New(slog.NewTextHandler(&log, nil))
		inbox := w.open(listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: apply("audit")})
		require.NoError(t, inbox.Store(t.Context(), "audit", messages(t, "a", 1)))
		_, err := w.db.Exec(t.Context(), `ALTER TABLE inbox RENAME TO out_of_reach`)
		require.NoError(t, err)
		w.run(inbox)
		w.eventually(func() bool { return strings.Contains(log.String(), "listener pauses") }, "the pause to be logged")
		require.Error(t, inbox.Store(t.Context(), "audit", messages(t, "b", 1)), "nothing may be acknowledged that is not stored")
		_, err = w.db.Exec(t.Context(), `ALTER TABLE out_of_reach RENAME TO inbox`)
		require.NoError(t, err)
		w.becomes(inbox, "audit", "orders/a/1", "done")
		require.Zero(t, w.state(inbox, "audit", "orders/a/1").Attempts)
	})
}

func TestRunLetsHandlersFinishAndCancelsThemAfterTheGrace(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		begun, finish := make(chan string, 2), make(chan struct{})
		inbox := w.open(listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Effect: func(ctx context.Context, e events.Event) (listen.Record, error) {
			begun <- e.Subject
			if e.Subject == "quick" {
				<-finish
				return recordOf("audit", e), nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		require.NoError(t, inbox.Store(t.Context(), "audit", append(messages(t, "quick", 1), messages(t, "stuck", 1)...)))
		stop := w.run(inbox)
		<-begun
		<-begun
		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		close(finish)
		<-stopped
		require.Equal(t, "done", w.state(inbox, "audit", "orders/quick/1").State)
		stuck := w.state(inbox, "audit", "orders/stuck/1")
		require.Equal(t, "pending", stuck.State)
		require.Zero(t, stuck.Attempts, "stopping counted as a failure")
		require.False(t, stuck.NextAttempt.After(w.clock.now()), "a restart would have to wait")
	})
}

type lockedBuffer struct {
	lock sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.text.String()
}
