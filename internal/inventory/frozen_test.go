package inventory_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/step"
	"example.com/orderly/internal/testenv"
)

// frozen runs work while another connection holds the row of one SKU. Once all of it waits for a lock, meanwhile is called and the
// row is let go. It returns what work returned.
func (s store) frozen(t *testing.T, sku string, meanwhile func(), work ...func() error) []error {
	t.Helper()
	locked, thawed := make(chan struct{}), make(chan struct{})
	thaw := sync.OnceFunc(func() { close(thawed) })
	var all sync.WaitGroup
	defer all.Wait()
	defer thaw() // also when the test has failed by then
	all.Go(func() {
		err := s.db.InTx(s.ctx, func(tx *database.Tx) error {
			var row string
			if err := tx.Get(s.ctx, &row, `SELECT sku FROM stock WHERE sku = ?`+tx.LockRows(), sku); err != nil {
				return err
			}
			close(locked)
			<-thawed
			return nil
		})
		if err != nil {
			t.Errorf("hold the row of %s: %v", sku, err)
		}
	})
	<-locked
	errs := make([]error, len(work))
	for i, do := range work {
		all.Go(func() { errs[i] = do() })
		// One after the other, so that the order in which they wait is the order given.
		s.awaitWaiting(t, i+1)
	}
	meanwhile()
	thaw()
	all.Wait()
	return errs
}

func (s store) awaitWaiting(t *testing.T, count int) {
	t.Helper()
	require.Eventually(t, func() bool {
		var waiting int
		err := s.db.Get(s.ctx, &waiting, `
			SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		return err == nil && waiting == count
	}, 20*time.Second, 5*time.Millisecond, "%d transactions waiting for a lock", count)
}

func onlyPostgres(t *testing.T, s store) {
	t.Helper()
	if s.db.Engine() != database.PostgreSQL {
		t.Skip("not run: SQLite has one writer, so there is no row lock to freeze a transaction on")
	}
}

func TestReleaseOvertakesAFrozenReserve(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openStore(t, open, quantity{"tea", 5}, quantity{"mug", 5})
		onlyPostgres(t, s)

		t.Run("that thaws and commits", func(t *testing.T) {
			r := s.reservation(quantity{"mug", 1}, quantity{"tea", 2})
			errs := s.frozen(t, "tea", func() {},
				func() error { return s.Reserve(s.ctx, r) },
				func() error { return s.Release(s.ctx, undo(r)) },
			)
			require.NoError(t, errs[1])
			require.Empty(t, s.reserved(t))
			if fault.CodeOf(errs[0]) == step.CodeUndone { // it waited longer than lock_timeout, and met the undo when it was run again
				require.Empty(t, s.announced(t, r.OrderID))
			} else {
				require.NoError(t, errs[0])
				require.Equal(t, []string{"inventory.reserved.v1", "inventory.released.v1"}, s.announcedTypes(t, r.OrderID))
			}
			requireFault(t, s.Reserve(s.ctx, r), fault.Conflict, step.CodeUndone)
			require.Empty(t, s.reserved(t))
		})

		t.Run("that was given up meanwhile", func(t *testing.T) {
			r := s.reservation(quantity{"mug", 1}, quantity{"tea", 2})
			ctx, giveUp := context.WithCancel(s.ctx)
			errs := s.frozen(t, "tea", giveUp,
				func() error { return s.Reserve(ctx, r) },
				func() error { return s.Release(s.ctx, undo(r)) },
			)
			require.ErrorIs(t, errs[0], context.Canceled)
			require.NoError(t, errs[1])
			require.Empty(t, s.reserved(t))
			require.Empty(t, s.announced(t, r.OrderID))
			requireFault(t, s.Reserve(s.ctx, r), fault.Conflict, step.CodeUndone)
			require.Empty(t, s.reserved(t))
		})
	})
}

// A transaction that waits for the first SKU has locked no other one: the order of the lines and the database's collation do not matter.
func TestRowsAreLockedInOneOrder(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		lines := []quantity{{"f", 1}, {"e", 1}, {"d", 1}, {"c", 1}, {"a", 1}, {"B", 1}}
		s := openStore(t, open, quantity{"a", 9}, quantity{"B", 9}, quantity{"c", 9}, quantity{"d", 9}, quantity{"e", 9}, quantity{"f", 9})
		onlyPostgres(t, s)
		sortLikePeople(t, s)
		othersFree := func() {
			var free []string
			require.NoError(t, s.db.InTx(s.ctx, func(tx *database.Tx) error {
				return tx.Select(s.ctx, &free, `SELECT sku FROM stock FOR UPDATE SKIP LOCKED`)
			}))
			require.ElementsMatch(t, []string{"a", "c", "d", "e", "f"}, free)
		}
		for range 3 {
			r := s.reservation(lines...)
			require.NoError(t, errors.Join(s.frozen(t, "B", othersFree, func() error { return s.Reserve(s.ctx, r) })...))
			require.NoError(t, errors.Join(s.frozen(t, "B", othersFree, func() error { return s.Release(s.ctx, undo(r)) })...))
		}
		require.Empty(t, s.reserved(t))
	})
}
