package listen_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/testenv"
)

// apart opens the listener's inbox as two processes would whose own clocks are an hour ahead and an hour behind.
func apart(t *testing.T, w *world, of func(name string) listen.Listener) (ahead, behind *listen.Inbox) {
	t.Helper()
	by := func(name string, skew time.Duration) *listen.Inbox {
		pool, err := listen.OpenPostgres(testenv.URL(t, w.db))
		require.NoError(t, err)
		t.Cleanup(func() { _ = pool.Close() })
		inbox, err := listen.Open(t.Context(), pool, listen.PostgreSQL, []listen.Listener{of(name)}, listen.Options{
			Log: w.log, Poll: 20 * time.Millisecond, Grace: 100 * time.Millisecond, Schedule: []time.Duration{time.Second},
		})
		require.NoError(t, err)
		inbox.SetOwnClock(func() time.Time { return time.Now().Add(skew) })
		return inbox
	}
	return by("ahead", time.Hour), by("behind", -time.Hour)
}

// tally counts how often each event was handled, and by which process first.
type tally struct {
	lock  sync.Mutex
	count map[string]int
	by    map[string]string
}

func (c *tally) add(id, by string) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.count[id]++
	c.by[id] = by
}

func (c *tally) of(id string) (count int, by string) {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.count[id], c.by[id]
}

// Two processes whose clocks are two hours apart handle each event once while it lasts, and what one of them leaves when it dies is taken up by
// the other at the lease's end.
func TestProcessesWhoseClocksDifferShareAnInbox(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)("shop", inboxTables, schema)
	for _, dies := range []string{"ahead", "behind"} {
		t.Run(dies+" dies", func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, db: db, log: slog.New(slog.DiscardHandler)}
			name := "mails." + dies
			seen := &tally{count: map[string]int{}, by: map[string]string{}}
			dead := make(chan struct{})
			inboxes := map[string]*listen.Inbox{}
			inboxes["ahead"], inboxes["behind"] = apart(t, w, func(by string) listen.Listener {
				return listen.Listener{
					Subscription: listen.Subscription{Name: name}, Timeout: time.Second,
					Effect: func(_ context.Context, e events.Event) (listen.Record, error) {
						seen.add(e.ID, by)
						if by == dies { // it hangs in the middle of an effect, with its lease
							<-dead
						}
						return recordOf(name, e), nil
					},
				}
			})
			first, second := inboxes[dies], inboxes[map[string]string{"ahead": "behind", "behind": "ahead"}[dies]]
			require.NoError(t, second.Store(t.Context(), name, messages(t, "left", 1)))
			w.stopping = sync.OnceFunc(func() { close(dead) })
			stop := w.run(first)
			w.eventually(func() bool { count, _ := seen.of("orders/left/1"); return count == 1 }, "what another process stored is waited for")

			began := time.Now()
			w.run(second)
			for i := range 20 {
				// The dying one has eight workers: some of these may hang there, too.
				require.NoError(t, first.Store(t.Context(), name, messages(t, fmt.Sprint("on-", i), 1)))
			}
			w.eventually(func() bool {
				done := 0
				for i := range 20 {
					if count, by := seen.of(fmt.Sprint("orders/on-", i, "/1")); count > 0 && by != dies {
						done++
					}
				}
				return done >= 20-7
			}, "the rest")
			count, _ := seen.of("orders/left/1")
			require.Equal(t, 1, count, "an event is handled twice while its lease lasts")

			w.becomes(second, name, "orders/left/1", "done")
			require.Less(t, time.Since(began), 15*time.Second, "the lease was one of six seconds")
			stop()
		})
	}
}

// Times are in the order of a subject's events whichever process handles them.
func TestDoneAtIsInTheOrderOfTheSubject(t *testing.T) {
	t.Parallel()
	for name, handled := range map[string]func(*listen.Listener){
		"in batches": func(l *listen.Listener) { l.Apply = apply(l.Name) },
		"one by one": func(l *listen.Listener) {
			l.Effect = func(_ context.Context, e events.Event) (listen.Record, error) { return recordOf(l.Name, e), nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, db: testenv.Postgres(t)("shop", inboxTables, schema), log: slog.New(slog.DiscardHandler)}
			ahead, behind := apart(t, w, func(string) listen.Listener {
				l := listen.Listener{Subscription: listen.Subscription{Name: "audit"}}
				handled(&l)
				return l
			})
			const subjects, each = 10, 20
			for i := range subjects {
				require.NoError(t, ahead.Store(t.Context(), "audit", messages(t, fmt.Sprint(i), each)))
			}
			w.run(ahead)
			w.run(behind)
			w.eventually(func() bool { return len(w.applied("audit")) == subjects*each }, "all to be handled")
			var disorder int
			require.NoError(t, w.db.Get(t.Context(), &disorder, `
				SELECT COUNT(*) FROM inbox AS next JOIN inbox AS earlier ON earlier.subject = next.subject AND earlier.sequence = next.sequence - 1
				WHERE next.done_at <= earlier.done_at`))
			require.Zero(t, disorder)
		})
	}
}

// An attempt that outlived its lease leaves the event to the one that has claimed it since: the subject's next event would else begin while
// this one is still being handled.
func TestAnAttemptThatWasTakenOverConcludesNothing(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]error{"it succeeds": nil, "it fails": errors.New("no")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachEngine(t, func(t *testing.T, w *world) {
				type attempt struct {
					id  string
					end chan error
				}
				begun := make(chan attempt, 10)
				open := func() *listen.Inbox {
					return w.open(listen.Listener{
						Subscription: listen.Subscription{Name: "mails"}, Timeout: time.Hour,
						Effect: func(ctx context.Context, e events.Event) (listen.Record, error) {
							a := attempt{e.ID, make(chan error)}
							begun <- a
							select {
							case err := <-a.end:
								return recordOf("mails", e), err
							case <-ctx.Done(): // the test has failed
								return nil, ctx.Err()
							}
						},
					})
				}
				inbox := open()
				require.NoError(t, inbox.Store(t.Context(), "mails", messages(t, "a", 2)))
				w.run(inbox)
				late := <-begun
				w.clock.advance(2 * time.Hour)
				other := <-begun
				require.Equal(t, []string{"orders/a/1", "orders/a/1"}, []string{late.id, other.id})

				late.end <- outcome
				require.NoError(t, inbox.Store(t.Context(), "mails", messages(t, "b", 1)))
				b := <-begun // a whole look at the table later
				require.Equal(t, "orders/b/1", b.id)
				b.end <- nil
				w.becomes(inbox, "mails", "orders/b/1", "done")
				w.clock.advance(time.Minute) // past what a failure would have had it wait
				require.NoError(t, inbox.Store(t.Context(), "mails", messages(t, "c", 1)))
				c := <-begun
				require.Equal(t, "orders/c/1", c.id, "taken up once more, or passed, while it is still being handled")
				c.end <- nil
				entry := w.state(inbox, "mails", "orders/a/1")
				require.Equal(t, "pending", entry.State)
				require.Zero(t, entry.Attempts)

				other.end <- nil
				next := <-begun
				require.Equal(t, "orders/a/2", next.id)
				next.end <- nil
				w.becomes(inbox, "mails", "orders/a/2", "done")
				require.Len(t, w.applied("mails"), 4)
			})
		})
	}
}

// The time by which an inbox prunes is the database's.
func TestAWrongClockPrunesNothing(t *testing.T) {
	t.Parallel()
	w := &world{t: t, db: testenv.Postgres(t)("shop", inboxTables, schema), log: slog.New(slog.DiscardHandler)}
	ahead, behind := apart(t, w, func(string) listen.Listener {
		return listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: apply("audit")}
	})
	require.NoError(t, behind.Store(t.Context(), "audit", messages(t, "a", 1)))
	stop := w.run(behind)
	w.becomes(behind, "audit", "orders/a/1", "done")
	stop()
	now, err := ahead.Now(t.Context())
	require.NoError(t, err)
	pruned, err := ahead.Prune(t.Context(), now.Add(-30*time.Minute), 10)
	require.NoError(t, err)
	require.Zero(t, pruned)
	var server database.Time
	require.NoError(t, w.db.Get(t.Context(), &server, `SELECT done_at FROM inbox`))
	require.WithinDuration(t, testenv.ServerTime(t, w.db), server.Time, 10*time.Second)
}

// Nor does a process that stops give back what another one has claimed since: it would be handled by a third at the same time.
func TestAProcessThatStopsLeavesWhatWasTakenOver(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		begun := make(chan string, 10)
		open := func() *listen.Inbox {
			inbox, err := listen.Open(t.Context(), w.db.Pool(), string(w.db.Engine()), []listen.Listener{{
				Subscription: listen.Subscription{Name: "mails"}, Timeout: time.Hour,
				Effect: func(ctx context.Context, e events.Event) (listen.Record, error) {
					begun <- e.ID
					<-ctx.Done() // the process stops
					return nil, ctx.Err()
				},
			}}, listen.Options{Now: w.clock.now, Log: w.log, Workers: 1, Poll: 5 * time.Millisecond, Grace: 100 * time.Millisecond})
			require.NoError(t, err)
			return inbox
		}
		claimedUntil := func() (at database.Time) {
			require.NoError(t, w.db.Get(t.Context(), &at, `SELECT next_attempt_at FROM inbox`))
			return at
		}
		late := open()
		require.NoError(t, late.Store(t.Context(), "mails", messages(t, "a", 1)))
		stop := w.run(late)
		<-begun
		w.clock.advance(2 * time.Hour)
		w.run(open())
		<-begun
		w.clock.advance(time.Second)
		taken := claimedUntil()
		stop()
		require.Equal(t, taken, claimedUntil())
		require.Empty(t, begun)
	})
}
