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

// Under any interleaving of writers, relays, failures and deaths of relays, everything written is published, a subject's events come
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
						if batch[0].LeasedUntil.After(clock.now()) { // a relay gives up when its lease ends
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
