package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
)

const lease = 15 * time.Second

// clock is a time that moves when told to.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(c.offset.Load()))
}

func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

func newBox(open testenv.Open) (*outbox.Outbox, *clock) {
	c := &clock{}
	return outbox.New(open("orders", outbox.Migrations()), "orders", c.now), c
}

func appendOne(t require.TestingT, ctx context.Context, box *outbox.Outbox, subject string) {
	require.NoError(t, box.DB().InTx(ctx, func(tx *database.Tx) error {
		return box.Append(ctx, tx, subject, events.OrderResumed{OrderID: subject})
	}))
}

func claim(t require.TestingT, ctx context.Context, box *outbox.Outbox) []outbox.Pending {
	claimed, err := box.Claim(ctx, 100, lease)
	require.NoError(t, err)
	return claimed
}

func named(batch []outbox.Pending) []string {
	names := []string{}
	for _, event := range batch {
		names = append(names, event.ID)
	}
	return names
}

func TestClaimTakesOneEventPerSubjectInOrder(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx := t.Context()
		box, _ := newBox(open)
		for _, subject := range []string{"a", "a", "a", "b"} {
			appendOne(t, ctx, box, subject)
		}

		first := claim(t, ctx, box)
		require.ElementsMatch(t, []string{"orders/a/1", "orders/b/1"}, named(first))
		require.Empty(t, claim(t, ctx, box), "an event was claimed while another one of its subject was in flight")

		require.NoError(t, box.MarkPublished(ctx, first))
		require.Equal(t, []string{"orders/a/2"}, named(claim(t, ctx, box)), "the next event is claimable at once")
	})
}

func TestAClaimOfADeadRelayIsTakenOverAfterItsLease(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx := t.Context()
		box, clock := newBox(open)
		appendOne(t, ctx, box, "a")
		require.Len(t, claim(t, ctx, box), 1)
		clock.advance(lease - time.Millisecond)
		require.Empty(t, claim(t, ctx, box))
		clock.advance(time.Millisecond)
		require.Len(t, claim(t, ctx, box), 1)
	})
}

// A relay that comes late, after another one has taken over, must leave the event to that one: the subject's next event would else be
// published before the other relay publishes this one again, and a queue that is not ours would see an old event after a newer one.
func TestARelayThatWasTakenOverConcludesNothing(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx := t.Context()
		box, clock := newBox(open)
		appendOne(t, ctx, box, "a")
		appendOne(t, ctx, box, "a")
		late := claim(t, ctx, box)
		clock.advance(lease)
		other := claim(t, ctx, box)
		require.Equal(t, named(late), named(other))

		require.NoError(t, box.MarkPublished(ctx, late))
		require.Empty(t, claim(t, ctx, box), "the next event can be published while the one before may still be")
		require.NoError(t, box.Failed(ctx, late[0], errors.New("no"), time.Millisecond))
		clock.advance(time.Second)
		require.Empty(t, claim(t, ctx, box), "an event can be published by two relays at once")

		require.NoError(t, box.MarkPublished(ctx, other))
		require.Equal(t, []string{"orders/a/2"}, named(claim(t, ctx, box)))
	})
}

// A relay that is late and was not taken over need not be: the event is safe, and nobody has to publish it again.
func TestARelayThatIsLateMarksWhatNobodyElseHasClaimed(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box, clock := newBox(open)
		appendOne(t, t.Context(), box, "a")
		late := claim(t, t.Context(), box)
		clock.advance(2 * lease)
		require.NoError(t, box.MarkPublished(t.Context(), late))
		require.Empty(t, claim(t, t.Context(), box))
	})
}

func TestAFailedEventHoldsBackItsOwnSubjectAlone(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx := t.Context()
		box, clock := newBox(open)
		appendOne(t, ctx, box, "a")
		appendOne(t, ctx, box, "a")
		require.NoError(t, box.Failed(ctx, claim(t, ctx, box)[0], errors.New("returned\x00: no queue\xff"), time.Minute))

		appendOne(t, ctx, box, "b")
		require.Equal(t, []string{"orders/b/1"}, named(claim(t, ctx, box)))
		clock.advance(time.Minute)
		again := claim(t, ctx, box)
		require.Contains(t, named(again), "orders/a/1")
		require.NotContains(t, named(again), "orders/a/2")
		for _, event := range again {
			if event.Subject == "a" {
				require.Equal(t, 1, event.Attempts)
			}
		}
	})
}

// The first transaction takes its place in the table and commits after a second one was committed and published.
func TestAnEventThatCommitsLateIsNotLost(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx := t.Context()
		box, _ := newBox(open)
		if box.DB().Engine() == database.SQLite {
			t.Skip("SQLite has one writer at a time: two transactions cannot overlap")
		}
		written, commit := make(chan struct{}), make(chan struct{})
		slow := make(chan error, 1)
		go func() {
			slow <- box.DB().InTx(ctx, func(tx *database.Tx) error {
				err := box.Append(ctx, tx, "slow", events.OrderResumed{OrderID: "slow"})
				close(written)
				<-commit
				return err
			})
		}()
		<-written
		appendOne(t, ctx, box, "quick")
		quick := claim(t, ctx, box)
		require.Equal(t, []string{"orders/quick/1"}, named(quick))
		require.NoError(t, box.MarkPublished(ctx, quick))
		close(commit)
		require.NoError(t, <-slow)
		require.Equal(t, []string{"orders/slow/1"}, named(claim(t, ctx, box)))
	})
}

func TestSeveralRelaysAtOnceKeepTheOrderOfEachSubject(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		const subjects, each = 5, 8
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		box, _ := newBox(open)

		var lock sync.Mutex
		published := map[string][]int64{}
		var count atomic.Int64
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				for count.Load() < subjects*each && ctx.Err() == nil {
					batch, err := box.Claim(ctx, 3, lease)
					if err != nil {
						t.Error(err)
						return
					}
					lock.Lock()
					for _, event := range batch {
						published[event.Subject] = append(published[event.Subject], event.Sequence)
					}
					lock.Unlock()
					if err := box.MarkPublished(ctx, batch); err != nil {
						t.Error(err)
						return
					}
					count.Add(int64(len(batch)))
				}
			})
		}
		for range each {
			for s := range subjects {
				appendOne(t, ctx, box, fmt.Sprint("s", s))
			}
		}
		all.Wait()
		for s := range subjects {
			require.Equal(t, []int64{1, 2, 3, 4, 5, 6, 7, 8}, published[fmt.Sprint("s", s)])
		}
	})
}

// An event is there from the commit of the change it reports, and not a moment before.
func TestAnEventIsCommittedWithItsTransactionOrNotAtAll(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box, _ := newBox(open)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		changedItsMind := errors.New("changed its mind")
		require.ErrorIs(t, box.DB().InTx(ctx, func(tx *database.Tx) error {
			require.NoError(t, box.Append(ctx, tx, "o1", events.OrderResumed{OrderID: "o1"}))
			waiting, _, err := box.Backlog(ctx)
			require.NoError(t, err)
			require.Zero(t, waiting, "others see the event before its transaction is committed")
			return changedItsMind
		}), changedItsMind)
		waiting, _, err := box.Backlog(ctx)
		require.NoError(t, err)
		require.Zero(t, waiting, "the event of a change that was taken back")
		select {
		case <-box.Woken():
			require.Fail(t, "the relay was woken for nothing")
		default:
		}
	})
}

func TestARolledBackAppendLeavesNoGap(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx := t.Context()
		box, _ := newBox(open)
		appendOne(t, ctx, box, "a")
		boom := errors.New("boom")
		require.ErrorIs(t, box.DB().InTx(ctx, func(tx *database.Tx) error {
			require.NoError(t, box.Append(ctx, tx, "a", events.OrderResumed{OrderID: "a"}))
			return boom
		}), boom)
		appendOne(t, ctx, box, "a")
		var sequences []int64
		require.NoError(t, box.DB().Select(ctx, &sequences, `SELECT sequence FROM outbox WHERE subject = 'a' ORDER BY sequence`))
		require.Equal(t, []int64{1, 2}, sequences)
	})
}

func TestBacklogAndPrune(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx := t.Context()
		box, clock := newBox(open)
		written := clock.now()
		appendOne(t, ctx, box, "a")
		clock.advance(time.Hour)
		appendOne(t, ctx, box, "a")
		waiting, oldest, err := box.Backlog(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 2, waiting)
		require.Equal(t, written, oldest)

		require.NoError(t, box.MarkPublished(ctx, claim(t, ctx, box)))
		deleted, err := box.Prune(ctx, clock.now(), 10)
		require.NoError(t, err)
		require.Zero(t, deleted, "an event was pruned within its window")
		deleted, err = box.Prune(ctx, clock.now().Add(time.Second), 10)
		require.NoError(t, err)
		require.EqualValues(t, 1, deleted)

		require.NoError(t, box.MarkPublished(ctx, claim(t, ctx, box)))
		waiting, oldest, err = box.Backlog(ctx)
		require.NoError(t, err)
		require.Zero(t, waiting)
		require.True(t, oldest.IsZero())
		appendOne(t, ctx, box, "a")
		require.Equal(t, []string{"orders/a/3"}, named(claim(t, ctx, box)), "the sequence goes on after pruning")
	})
}

// Whatever writers, relays, failures and deaths of relays do in whatever order: everything written is published, a subject's events come
// in order and without gaps, and the only one that may come twice is the last.
func TestNoInterleavingLosesOrOvertakes(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box, clock := newBox(open)
		round := 0
		rapid.Check(t, func(t *rapid.T) {
			ctx := context.Background()
			round++ // a run that was given up leaves events behind; they are not this run's
			mine := fmt.Sprintf("%d-", round)
			written, seen := map[string]int64{}, map[string]int64{}
			claimed, sent := make([][][]outbox.Pending, 2), make([][][]outbox.Pending, 2) // of each relay, by claim
			publish := func(batch []outbox.Pending) {
				for _, event := range batch {
					if !strings.HasPrefix(event.Subject, mine) {
						continue
					}
					if event.Sequence != seen[event.Subject] {
						require.Equal(t, seen[event.Subject]+1, event.Sequence, "%s after %d", event.ID, seen[event.Subject])
					}
					seen[event.Subject] = event.Sequence
				}
			}
			relay := rapid.IntRange(0, 1)
			t.Repeat(map[string]func(*rapid.T){
				"append": func(t *rapid.T) {
					subject := mine + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "subject")
					appendOne(t, ctx, box, subject)
					written[subject]++
				},
				"roll back": func(t *rapid.T) {
					_ = box.DB().InTx(ctx, func(tx *database.Tx) error {
						return errors.Join(errors.New("no"), box.Append(ctx, tx, mine+"a", events.OrderResumed{}))
					})
				},
				"claim": func(t *rapid.T) {
					r := relay.Draw(t, "relay")
					if batch := claim(t, ctx, box); len(batch) > 0 {
						claimed[r] = append(claimed[r], batch)
					}
				},
				"publish": func(t *rapid.T) {
					r := relay.Draw(t, "relay")
					for _, batch := range claimed[r] {
						if batch[0].Lease.After(clock.now()) { // a relay gives up when its lease ends
							publish(batch)
							sent[r] = append(sent[r], batch)
						}
					}
					claimed[r] = nil
				},
				"mark": func(t *rapid.T) {
					r := relay.Draw(t, "relay")
					for _, batch := range sent[r] {
						require.NoError(t, box.MarkPublished(ctx, batch))
					}
					sent[r] = nil
				},
				"die": func(t *rapid.T) {
					r := relay.Draw(t, "relay")
					claimed[r], sent[r] = nil, nil
				},
				"fail": func(t *rapid.T) {
					r := relay.Draw(t, "relay")
					for _, event := range slices.Concat(claimed[r]...) {
						require.NoError(t, box.Failed(ctx, event, errors.New("no"), time.Second))
					}
					claimed[r] = nil
				},
				"wait": func(t *rapid.T) { clock.advance(lease / 2) },
			})
			clock.advance(2 * lease)
			for batch := claim(t, ctx, box); len(batch) > 0; batch = claim(t, ctx, box) {
				publish(batch)
				require.NoError(t, box.MarkPublished(ctx, batch))
			}
			require.Equal(t, written, seen)
		})
	})
}
