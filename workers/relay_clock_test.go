package workers_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/testenv"
)

// A database that was away for long is not left alone for long: everything in it waits. The clock is the bubble's.
func TestTheRelayLooksAtADatabaseThatIsAwayEveryFewSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newBox(func(service string, sets ...database.Migrations) *database.DB {
			return testenv.SQLite(t, service, sets...)
		}, "orders")
		write(t, box, "a")
		_, err := box.DB().Exec(t.Context(), `ALTER TABLE outbox RENAME TO away`)
		require.NoError(t, err)
		_, stop := run(t, transport(func(listen.Message) error { return nil }), box)
		time.Sleep(time.Minute)
		before := box.DB().Statements()
		time.Sleep(10 * time.Minute)
		looks := box.DB().Statements() - before
		require.GreaterOrEqual(t, looks, int64(10*time.Minute/(6*time.Second)), "looked at too seldom")
		require.LessOrEqual(t, looks, int64(10*time.Minute/time.Second), "looked at without a pause")

		_, err = box.DB().Exec(t.Context(), `ALTER TABLE away RENAME TO outbox`)
		require.NoError(t, err)
		time.Sleep(6 * time.Second)
		require.Zero(t, unpublished(t, box))
		stop()
	})
}

// A relay that waited long for its claim may have been taken over when it still has time to publish. The clock is the bubble's.
func TestTheRelayDoesNotPublishPastItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newBox(func(service string, sets ...database.Migrations) *database.DB {
			return testenv.SQLite(t, service, sets...)
		}, "orders")
		write(t, box, "a")
		var held sync.WaitGroup
		held.Go(func() {
			if err := box.DB().InTx(t.Context(), func(*database.Tx) error {
				time.Sleep(8 * time.Second)
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		_, stop := run(t, obedient(func(ctx context.Context) error {
			until, bounded := ctx.Deadline()
			var leased database.Time
			if err := box.DB().Get(ctx, &leased, `SELECT next_attempt_at FROM outbox`); err != nil {
				return err
			}
			if !bounded || until.After(leased.Time) {
				t.Errorf("it may publish until %s and has leased until %s", until, leased)
			}
			return nil
		}), box)
		held.Wait()
		time.Sleep(time.Minute)
		require.Zero(t, unpublished(t, box))
		stop()
	})
}

// The first event is published when it is written; those that follow close behind share batches. The clock is the bubble's.
func TestTheRelayTakesATrickleInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newBox(func(service string, sets ...database.Migrations) *database.DB {
			return testenv.SQLite(t, service, sets...)
		}, "orders")
		var batches batchCounter
		_, stop := run(t, &batches, box)
		synctest.Wait()

		write(t, box, "first")
		synctest.Wait()
		require.Zero(t, unpublished(t, box), "an event waits although the relay has nothing to do")

		const trickle, apart = 500, 10 * time.Millisecond
		before := batches.published.Load()
		for i := range trickle {
			time.Sleep(apart)
			write(t, box, fmt.Sprint(i))
		}
		time.Sleep(time.Second)
		require.Zero(t, unpublished(t, box))
		require.LessOrEqual(t, batches.published.Load()-before, int64(trickle/4), "batches of fewer than four events")
		stop()
	})
}

// batchCounter is a transport that takes everything and counts how often it is asked.
type batchCounter struct{ published atomic.Int64 }

func (c *batchCounter) Publish(_ context.Context, messages []listen.Message) []error {
	c.published.Add(1)
	return make([]error, len(messages))
}
