package password

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/source"
)

// waits enters requests of these sources into a queue whose turns are all taken, and returns in which order their turns come.
func waits(t *testing.T, q *queue, sources ...string) (order []string) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, from := range sources {
		all.Go(func() {
			if err := q.take(t.Context(), from); err != nil {
				return
			}
			mu.Lock()
			order = append(order, fmt.Sprintf("%s %d", from, i))
			mu.Unlock()
			q.done()
		})
		synctest.Wait()
	}
	q.done()
	all.Wait()
	require.NoError(t, q.take(t.Context(), "whose turn it was")) // as before
	require.Empty(t, q.lines)
	require.Zero(t, q.all)
	return order
}

func taken(t *testing.T) *queue {
	t.Helper()
	q := newQueue(1)
	require.NoError(t, q.take(t.Context(), "whose turn it was"))
	return q
}

func TestASourceWaitsBehindItsOwnRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, []string{"b 3", "a 0", "b 4", "a 1", "a 2"}, waits(t, taken(t), "a", "a", "a", "b", "b"))
	})
}

func TestLittleGoesBeforeMuchAndARightPasswordBeforeNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := taken(t)
		q.spend("much")
		q.spend("much")
		q.spend("little")
		q.spend("right") // and it was: so it is not counted
		q.right("right")
		require.Equal(t, []string{"right 3", "new 4", "new before 1", "little 2", "much 0"},
			waits(t, q, "much", "new before", "little", "right", "new"))
		time.Sleep(spending.Per)
		require.Equal(t, []string{"right 1", "new 2", "much 0"}, waits(t, q, "much", "right", "new"), "what was long ago counts no more")
		time.Sleep(trust.Per)
		require.Equal(t, []string{"new 1", "right 0"}, waits(t, q, "right", "new"))
	})
}

func TestOfNewSourcesThoseWithBusyNeighboursGoLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := taken(t)
		q.spend("192.0.2.1")
		require.Equal(t, []string{"198.51.100.1 0", "192.0.2.3 2", "192.0.2.2 1", "192.0.2.1 3"},
			waits(t, q, "198.51.100.1", "192.0.2.2", "192.0.2.3", "192.0.2.1"))
	})
}

func TestTooManyOfOneSourceAreTurnedAwayAtOnceAndNoOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := taken(t)
		for range mostOfSource {
			require.NotNil(t, q.enter("flood"))
		}
		began := time.Now()
		require.Equal(t, "busy", fault.CodeOf(q.take(t.Context(), "flood")))
		require.Zero(t, time.Since(began))
		require.NotNil(t, q.enter("customer"))
	})
}

// In a queue that is full a request that is to be served sooner takes the place of the one that is to be served last.
func TestAFullQueueTurnsTheLastAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := taken(t)
		var last *turn
		for i := range mostInAll {
			from := fmt.Sprint("flood ", i)
			if i == 7 {
				q.spend(from)
			}
			if came := q.enter(from); i == 7 {
				last = came
			}
		}
		mine := q.enter("customer")
		require.False(t, mine.refused)
		require.True(t, last.refused)
		<-last.given
		require.Equal(t, mostInAll, q.all)
		q.spend("flood again")
		require.Equal(t, "busy", fault.CodeOf(q.take(t.Context(), "flood again")))
		q.done()
		<-mine.given
	})
}

// A turn that comes at the moment at which its request leaves goes to the next.
func TestNoTurnIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := taken(t)
		leaver, stays := q.enter("leaver"), q.enter("stays")
		q.done() // to "stays", which came last
		<-stays.given
		q.done()
		<-leaver.given
		q.leave("leaver", leaver)
		require.Equal(t, 1, q.free)
		require.NoError(t, q.take(t.Context(), "customer"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, q.take(ctx, "customer"), context.DeadlineExceeded)
		require.Empty(t, q.lines)
	})
}

// The flood of the acceptance, in a time that is not real: 200 requests a second, from one source and from 200 and each from a new one, where 40
// can be hashed in a second. A customer comes each 1.2 s, from a source that was never seen.
func TestAFloodOfSourcesLetsCustomersThrough(t *testing.T) {
	t.Parallel()
	const hashing = 50 * time.Millisecond // two at once
	for _, sources := range []int{1, 200} {
		t.Run(fmt.Sprint(sources), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(hashesAtOnce)
				var all sync.WaitGroup
				ask := func(from string) (time.Duration, error) {
					began := time.Now()
					ctx := source.With(t.Context(), from)
					if err := q.take(ctx, source.Of(ctx)); err != nil {
						return time.Since(began), err
					}
					defer q.done()
					time.Sleep(hashing)
					return time.Since(began), nil
				}
				var mu sync.Mutex
				var took []time.Duration
				for i := range 60 * 200 {
					all.Go(func() { _, _ = ask(fmt.Sprint("127.0.1.", i%sources)) })
					if i%240 == 100 {
						all.Go(func() {
							waited, err := ask(fmt.Sprint("127.0.2.", i/240))
							mu.Lock()
							defer mu.Unlock()
							if err == nil {
								took = append(took, waited)
							}
						})
					}
					time.Sleep(5 * time.Millisecond)
				}
				all.Wait()
				require.Len(t, took, 50, "customers were turned away")
				slices.Sort(took)
				t.Logf("half within %s, the slowest but two %s, the slowest %s", took[25], took[47], took[49])
				require.Less(t, took[47], 3*time.Second)
			})
		})
	}
}

// The normal form was looked at and is wrong, and the bytes as they are get no turn: a guess was tested all the same.
func TestAFormThatWasFoundWrongIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHasher()
		for range hashesAtOnce {
			require.NoError(t, h.queue.take(t.Context(), "held"))
		}
		go func() { _ = h.queue.take(t.Context(), "other") }() // keeps its turn
		synctest.Wait()
		refused := make(chan error, 1)
		go func() {
			_, _, err := h.Match(source.With(t.Context(), "guesser"), "", "correct cafe\u0301 battery")
			refused <- err
		}()
		synctest.Wait()
		h.queue.done()
		err := <-refused
		require.ErrorIs(t, err, ErrLooked)
		require.Equal(t, "busy", fault.CodeOf(err))
	})
}
