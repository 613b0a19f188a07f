package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/orderly/events"
	"example.com/orderly/events/eventstest"
	"example.com/orderly/events/listen"
	"example.com/orderly/events/rabbit"
)

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func completed(order, customer string, minor int64, currency string) events.Event {
	return eventstest.Events("orders", order, at,
		events.OrderCompleted{OrderID: order, CustomerID: customer, TotalMinor: minor, Currency: currency})[0]
}

func TestEachOrderCountsOnce(t *testing.T) {
	t.Parallel()
	pool := eventstest.SQLite(t, tables)
	eventstest.Given(t, pool, points,
		completed("o-1", "ada", 3050, "EUR"), completed("o-2", "ada", 700, "JPY"), completed("o-3", "bob", 99, "EUR"))
	for customer, want := range map[string]int64{"ada": 730, "bob": 0} {
		if got := pointsOf(t, pool, customer); got != want {
			t.Errorf("%s has %d points, not %d", customer, got, want)
		}
	}
}

func TestAnUnknownCurrencyIsForAnOperator(t *testing.T) {
	t.Parallel()
	reason := eventstest.GivenDead(t, eventstest.SQLite(t, tables), points, completed("o-1", "ada", 3000, "DOGE"))
	if !strings.Contains(reason, `unknown currency "DOGE"`) {
		t.Errorf("the reason is %q", reason)
	}
}

// The whole program, with a part of RabbitMQ that no other test uses.
func TestRunOnRabbitMQ(t *testing.T) {
	t.Parallel()
	broker := rabbit.Config{URL: os.Getenv("RABBITMQ_URL"), Prefix: "loyalty_test_" + strings.ToLower(rand.Text()[:12])}
	if broker.URL == "" {
		t.Skip("not run: set RABBITMQ_URL, for example to amqp://guest:guest@127.0.0.1:5672/")
	}
	t.Cleanup(func() {
		if err := rabbit.Remove(context.Background(), broker, points.Subscription); err != nil {
			t.Error(err)
		}
	})
	publisher, err := rabbit.NewPublisher(broker, points.Subscription)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = publisher.Close() }()
	message, err := listen.Encode(completed("o-1", "ada", 3050, "EUR"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := publisher.Publish(t.Context(), []listen.Message{message})[0]; err != nil {
			t.Fatal(err)
		}
	}

	at := filepath.Join(t.TempDir(), "loyalty.db")
	pool, engine, err := listen.OpenURL("sqlite:" + at)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, pool, engine, broker) }()
	look, err := listen.OpenSQLite(at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = look.Close() }()
	tick, late := time.NewTicker(10*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for pointsOf(t, look, "ada") == 0 {
		select {
		case <-tick.C:
		case err := <-ended:
			t.Fatalf("the program ended: %v", err)
		case <-late:
			t.Fatal("no points after a minute")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := pointsOf(t, look, "ada"); got != 30 {
		t.Errorf("ada has %d points, not 30", got)
	}
}

// pointsOf is 0 where there are none.
func pointsOf(t *testing.T, pool *sql.DB, customer string) (points int64) {
	t.Helper()
	var exists bool
	if err := pool.QueryRow(`SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'points')`).Scan(&exists); err != nil || !exists {
		return 0
	}
	if err := pool.QueryRow(`SELECT COALESCE(SUM(points), 0) FROM points WHERE customer_id = ?`, customer).Scan(&points); err != nil {
		t.Fatal(err)
	}
	return points
}
