package outbox_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
		deleted, err := box.Prune(ctx, 0, 10)
		require.NoError(t, err)
		require.Zero(t, deleted, "an event was pruned within its window")
		clock.advance(time.Second)
		deleted, err = box.Prune(ctx, 0, 10)
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
