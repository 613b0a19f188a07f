package orders_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
)

// How old an order and an idempotency key are is told by the database's clock: what sweeps, reconciles or prunes may run in another process
// than what placed the order.
func TestAnOrderIsAsOldByEveryClock(t *testing.T) {
	t.Parallel()
	open := testenv.Postgres(t)
	s := openShop(t, open)
	fast, slow := testenv.Apart(t, s.db)
	for name, on := range map[string][2]*database.DB{"placed by the slow one": {slow, fast}, "placed by the fast one": {fast, slow}} {
		t.Run(name, func(t *testing.T) {
			placing, looking := orders.New(outbox.New(on[0], "orders", nil), nil), orders.New(outbox.New(on[1], "orders", nil), nil)
			request := s.anew()
			order, _, err := placing.Place(s.ctx, request)
			require.NoError(t, err)
			require.WithinDuration(t, testenv.ServerTime(t, s.db), order.CreatedAt, 5*time.Second)

			young, err := looking.Unstarted(s.ctx, 30*time.Minute, 10)
			require.NoError(t, err)
			require.Empty(t, young, "swept too early")
			due, err := looking.Unstarted(s.ctx, 0, 10)
			require.NoError(t, err)
			require.Len(t, due, 1, "the sweep waits for longer")

			require.NoError(t, placing.MarkStarted(s.ctx, order.ID))
			open, err := looking.Open(s.ctx, 30*time.Minute, "", 10)
			require.NoError(t, err)
			require.Empty(t, open, "reconciled too early")
			open, err = looking.Open(s.ctx, 0, "", 10)
			require.NoError(t, err)
			require.Contains(t, open, order.ID, "reconciled too late")

			forgotten, err := looking.PruneKeys(s.ctx, 30*time.Minute, 10)
			require.NoError(t, err)
			require.Zero(t, forgotten, "a key was forgotten early")
			again, repeated, err := looking.Place(s.ctx, request)
			require.NoError(t, err)
			require.True(t, repeated)
			require.Equal(t, order.ID, again.ID)
		})
	}
}
