package eventstest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/orderly/events"
	"example.com/orderly/events/eventstest"
	"example.com/orderly/events/listen"
)

func ExampleEvents() {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, e := range eventstest.Events("orders", "o-1", at, events.OrderCreated{OrderID: "o-1"}, events.OrderConfirmed{OrderID: "o-1"}) {
		fmt.Println(e.ID, e.Type, e.Time.Format(time.TimeOnly))
	}
	// Output:
	// orders/o-1/1 order.created.v1 12:00:00
	// orders/o-1/2 order.confirmed.v1 12:00:01
}

var points = listen.Listener{
	Subscription: listen.Subscription{Name: "points", Types: []string{events.OrderCompleted{}.EventType()}},
	Apply: func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
		order, err := events.As[events.OrderCompleted](e)
		if err != nil {
			return listen.Permanent(err)
		}
		_, err = tx.ExecContext(ctx, tx.Rebind(`INSERT INTO points (customer_id, points) VALUES (?, ?)`), order.CustomerID, order.TotalMinor/100)
		return err
	},
}

// A test of a listener: given these events, each of which is delivered twice, then this state.
func ExampleGiven() {
	_ = func(t *testing.T) { // TestPoints of your package
		pool := eventstest.SQLite(t)
		if _, err := pool.ExecContext(t.Context(), `CREATE TABLE points (customer_id TEXT NOT NULL, points BIGINT NOT NULL)`); err != nil {
			t.Fatal(err)
		}
		eventstest.Given(t, pool, points, eventstest.Events("orders", "o-1", time.Now(),
			events.OrderConfirmed{OrderID: "o-1", CustomerID: "ada"}, // not asked for
			events.OrderCompleted{OrderID: "o-1", CustomerID: "ada", TotalMinor: 3000, Currency: "EUR"})...)
		var total int
		if err := pool.QueryRowContext(t.Context(), `SELECT SUM(points) FROM points WHERE customer_id = 'ada'`).Scan(&total); err != nil {
			t.Fatal(err)
		}
		if total != 30 {
			t.Errorf("ada has %d points, not 30", total)
		}
	}
}
