package step_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/step"
	"example.com/orderly/internal/testenv"
)

const (
	forward  = "order-1:reserve"
	backward = "order-1:release"
)

var ledger = database.Migrations{Set: "ledger", Files: fstest.MapFS{"00001_ledger.sql": {Data: []byte(`
-- +goose Up
CREATE TABLE ledger (entry TEXT NOT NULL);
`)}}}

type receipt struct{ Number int }

// world is one service with a ledger in which every effect leaves a line.
type world struct {
	t   *testing.T
	box *outbox.Outbox
}

func newWorld(t *testing.T, open testenv.Open) world {
	return world{t: t, box: outbox.New(open("ledger", outbox.Migrations(), step.Migrations(), ledger), "ledger", time.Now)}
}

func (w world) write(entry string, then error) func(tx *database.Tx) (receipt, error) {
	return func(tx *database.Tx) (receipt, error) {
		_, err := tx.Exec(w.t.Context(), `INSERT INTO ledger (entry) VALUES (?)`, entry)
		return receipt{Number: 7}, errors.Join(err, then)
	}
}

func (w world) reserve(then error) step.Step[receipt] {
	return step.Step[receipt]{
		Key: forward, Subject: "o-1", Do: w.write("reserved", then),
		Yes: func(receipt) events.Payload { return events.InventoryReserved{OrderID: "o-1"} },
		No:  func(no *fault.Error) events.Payload { return events.InventoryRejected{OrderID: "o-1", Reason: no.Code} },
	}
}

func (w world) release() step.Step[receipt] {
	return step.Step[receipt]{
		Key: backward, Undoes: forward, Subject: "o-1", Do: w.write("released", nil),
		Yes: func(receipt) events.Payload { return events.InventoryReleased{OrderID: "o-1"} },
	}
}

func (w world) run(s step.Step[receipt]) (receipt, error) {
	return step.Run(w.t.Context(), w.box, s)
}

func (w world) requireTrace(entries, types []string) {
	w.t.Helper()
	var got []string
	require.NoError(w.t, w.box.DB().Select(w.t.Context(), &got, `SELECT entry FROM ledger`))
	require.ElementsMatch(w.t, entries, got, "effects")
	var announced []string
	require.NoError(w.t, w.box.DB().Select(w.t.Context(), &announced, `SELECT event_type FROM outbox ORDER BY sequence`))
	require.Equal(w.t, types, announced, "events")
}

func TestStep(t *testing.T) {
	t.Parallel()
	no := fault.New(fault.Declined, "out_of_stock", "sku A is sold out")
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		t.Run("a second run returns the recorded yes", func(t *testing.T) {
			w := newWorld(t, open)
			first, err := w.run(w.reserve(nil))
			require.NoError(t, err)
			second, err := w.run(w.reserve(errors.New("must not run")))
			require.NoError(t, err)
			require.Equal(t, first, second)
			w.requireTrace([]string{"reserved"}, []string{"inventory.reserved.v1"})
		})

		t.Run("a second run returns the recorded no", func(t *testing.T) {
			w := newWorld(t, open)
			_, err := w.run(w.reserve(no))
			require.Equal(t, no, err)
			_, err = w.run(w.reserve(nil)) // the world would say yes by now
			require.Equal(t, "out_of_stock", fault.CodeOf(err))
			require.Equal(t, fault.Declined, fault.KindOf(err))
			w.requireTrace(nil, []string{"inventory.rejected.v1"})
		})

		t.Run("a failure leaves nothing behind", func(t *testing.T) {
			w := newWorld(t, open)
			_, err := w.run(w.reserve(errors.New("disk full")))
			require.ErrorContains(t, err, "disk full")
			w.requireTrace(nil, nil)
			_, found, err := step.Recorded[receipt](t.Context(), w.box, forward)
			require.NoError(t, err)
			require.False(t, found)
			_, err = w.run(w.reserve(nil))
			require.NoError(t, err)
			w.requireTrace([]string{"reserved"}, []string{"inventory.reserved.v1"})
		})

		t.Run("a late attempt after the undo is refused", func(t *testing.T) {
			w := newWorld(t, open)
			_, err := w.run(w.release())
			require.NoError(t, err)
			_, err = w.run(w.reserve(nil))
			require.Equal(t, step.CodeUndone, fault.CodeOf(err))
			require.Equal(t, fault.Conflict, fault.KindOf(err))
			w.requireTrace([]string{"released"}, []string{"inventory.released.v1"})
		})

		t.Run("what is refused after the undo is told the reason of the first undo", func(t *testing.T) {
			for _, done := range []bool{true, false} {
				w := newWorld(t, open)
				if done {
					_, err := w.run(w.reserve(nil))
					require.NoError(t, err)
				}
				first, second := w.release(), w.release()
				first.Reason, second.Reason, second.Key = "card_declined", "another_reason", "order-1:release-again"
				for _, undo := range []step.Step[receipt]{first, second} {
					_, err := w.run(undo)
					require.NoError(t, err)
				}
				_, err := w.run(w.reserve(nil))
				refused, ok := fault.As(err)
				require.True(t, ok)
				require.Equal(t, step.CodeUndone, refused.Code)
				require.Equal(t, "card_declined", refused.FirstCause)
			}
		})

		t.Run("an undo that gave no reason has none", func(t *testing.T) {
			w := newWorld(t, open)
			_, err := w.run(w.release())
			require.NoError(t, err)
			_, err = w.run(w.reserve(nil))
			refused, ok := fault.As(err)
			require.True(t, ok)
			require.Empty(t, refused.FirstCause)
		})

		t.Run("a repeated attempt after the undo is refused too", func(t *testing.T) {
			w := newWorld(t, open)
			_, err := w.run(w.reserve(nil))
			require.NoError(t, err)
			_, err = w.run(w.release())
			require.NoError(t, err)
			_, err = w.run(w.reserve(nil))
			require.Equal(t, step.CodeUndone, fault.CodeOf(err))
		})

		t.Run("a no stays a no after the undo", func(t *testing.T) {
			w := newWorld(t, open)
			_, err := w.run(w.reserve(no))
			require.Error(t, err)
			_, err = w.run(w.release())
			require.NoError(t, err)
			_, err = w.run(w.reserve(nil))
			require.Equal(t, "out_of_stock", fault.CodeOf(err))
		})

		t.Run("the undo is done once", func(t *testing.T) {
			w := newWorld(t, open)
			for range 3 {
				_, err := w.run(w.release())
				require.NoError(t, err)
			}
			w.requireTrace([]string{"released"}, []string{"inventory.released.v1"})
		})

		t.Run("an attempt that was begun and never committed leaves the key free", func(t *testing.T) {
			w := newWorld(t, open)
			ctx, cancel := context.WithCancel(t.Context())
			s := w.reserve(nil)
			s.Do = func(*database.Tx) (receipt, error) { cancel(); return receipt{}, ctx.Err() }
			_, err := step.Run(ctx, w.box, s)
			require.ErrorIs(t, err, context.Canceled)
			_, err = w.run(w.reserve(nil))
			require.NoError(t, err)
		})
	})
}

// Many attempts of a step and its undo at once: one effect of each at the most, and if the undo came first, none of the step.
func TestStepAndUndoAtOnce(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		start := make(chan struct{})
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() {
				<-start
				if i%3 == 0 {
					_, err := w.run(w.release())
					require.NoError(t, err)
					return
				}
				if _, err := w.run(w.reserve(nil)); err != nil {
					require.Equal(t, step.CodeUndone, fault.CodeOf(err))
				}
			})
		}
		close(start)
		all.Wait()

		var types []string
		require.NoError(t, w.box.DB().Select(t.Context(), &types, `SELECT event_type FROM outbox ORDER BY sequence`))
		switch len(types) {
		case 1:
			w.requireTrace([]string{"released"}, []string{"inventory.released.v1"})
		default:
			w.requireTrace([]string{"reserved", "released"}, []string{"inventory.reserved.v1", "inventory.released.v1"})
		}
	})
}

// Two orders whose steps have no key would share one record: the second would be told the first one's yes.
func TestAStepWithoutAKeyIsRefused(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		without, itself := w.reserve(nil), w.release()
		without.Key, itself.Key = "", itself.Undoes
		for _, s := range []step.Step[receipt]{without, itself} {
			_, err := step.Run(t.Context(), w.box, s)
			require.Equal(t, fault.Internal, fault.KindOf(err), "a defect of ours, so that it is retried and seen")
		}
		_, _, err := step.Recorded[receipt](t.Context(), w.box, "")
		require.Error(t, err)
		w.requireTrace(nil, nil)
	})
}
