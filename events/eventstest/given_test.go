package eventstest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/eventstest"
	"example.com/orderly/events/listen"
)

func TestGiven(t *testing.T) {
	t.Parallel()
	pool := eventstest.SQLite(t)
	_, err := pool.ExecContext(t.Context(), `CREATE TABLE resumed (order_id TEXT NOT NULL)`)
	require.NoError(t, err)
	listener := listen.Listener{Subscription: listen.Subscription{Name: "resumed", Types: []string{events.OrderResumed{}.EventType()}},
		Apply: func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO resumed (order_id) VALUES (?)`, e.Subject)
			return err
		}}
	eventstest.Given(t, pool, listener, eventstest.Events("orders", "o1", time.Now(), events.OrderResumed{OrderID: "o1"})...)
	var count int
	require.NoError(t, pool.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM resumed`).Scan(&count))
	require.Equal(t, 1, count, "every event is delivered twice and applied once")
}

func TestGivenDead(t *testing.T) {
	t.Parallel()
	listener := listen.Listener{Subscription: listen.Subscription{Name: "picky"}, Apply: func(context.Context, *sqlx.Tx, events.Event) error {
		return listen.Permanent(errors.New("not for me"))
	}}
	given := eventstest.Events("orders", "o1", time.Now(), events.OrderResumed{OrderID: "o1"})
	require.Contains(t, eventstest.GivenDead(t, eventstest.SQLite(t), listener, given[0]), "not for me")
}
