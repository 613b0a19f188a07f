package listen_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"testing/fstest"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/events/local"
)

// A listener that counts completed orders in a table of its own, in a SQLite file, fed by the transport of one process. Over RabbitMQ,
// rabbit.NewConsumer takes the place of local.New.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	folder, err := os.MkdirTemp("", "listener")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()

	counted := make(chan struct{}, 1)
	counter := listen.Listener{
		Subscription: listen.Subscription{Name: "counter", Types: []string{events.OrderCompleted{}.EventType()}},
		Apply: func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
			order, err := events.As[events.OrderCompleted](e)
			if err != nil {
				return listen.Permanent(err)
			}
			_, err = tx.ExecContext(ctx, tx.Rebind(`INSERT INTO completed (order_id, total_minor) VALUES (?, ?)`), order.OrderID, order.TotalMinor)
			counted <- struct{}{}
			return err
		},
	}
	tables := listen.Tables{Set: "counter", Files: fstest.MapFS{ // in a program of its own, an embed.FS
		"00001_completed.sql": {Data: []byte("-- +goose Up\nCREATE TABLE completed (order_id TEXT NOT NULL, total_minor BIGINT NOT NULL);\n")},
	}}

	pool, engine, err := listen.OpenURL("sqlite:" + filepath.Join(folder, "counter.db"))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = pool.Close() }()
	inbox, err := listen.Open(ctx, pool, engine, []listen.Listener{counter}, listen.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := inbox.Migrate(ctx, tables); err != nil {
		log.Fatal(err)
	}
	transport, err := local.New(inbox)
	if err != nil {
		log.Fatal(err)
	}

	running, stop := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- inbox.Run(running) }()

	event, err := events.New("orders", "o-1", 5, time.Now(), events.OrderCompleted{OrderID: "o-1", TotalMinor: 3000, Currency: "EUR"})
	if err != nil {
		log.Fatal(err)
	}
	message, err := listen.Encode(event)
	if err != nil {
		log.Fatal(err)
	}
	for range 2 { // the second delivery changes nothing
		if err := transport.Publish(ctx, []listen.Message{message})[0]; err != nil {
			log.Fatal(err)
		}
	}
	<-counted
	stop()
	if err := <-ended; err != nil { // what has begun is finished first
		log.Fatal(err)
	}

	var orders, total int64
	if err := pool.QueryRowContext(ctx, `SELECT COUNT(*), SUM(total_minor) FROM completed`).Scan(&orders, &total); err != nil {
		log.Fatal(err)
	}
	fmt.Println("orders:", orders, "total:", total)
	// Output: orders: 1 total: 3000
}

// A listener that sends something, and writes down in the transaction that marks the event as done that it did.
func ExampleListener_effect() {
	send := func(messageID, text string) error { return nil }
	mailer := listen.Listener{
		Subscription: listen.Subscription{Name: "mailer", Types: []string{events.OrderParked{}.EventType()}},
		Unordered:    true, // a mail that can't be sent does not hold back the next one about the order
		Schedule:     []time.Duration{time.Minute, time.Hour, 24 * time.Hour},
		Effect: func(ctx context.Context, e events.Event) (listen.Record, error) {
			if err := send(e.ID, "Order "+e.Subject+" needs you."); err != nil { // the same id each time it is sent
				return nil, err
			}
			return func(ctx context.Context, tx *sqlx.Tx) error {
				_, err := tx.ExecContext(ctx, tx.Rebind(`INSERT INTO sent (event_id) VALUES (?)`), e.ID)
				return err
			}, nil
		},
	}
	fmt.Println(mailer.Name, mailer.Wants("order.parked.v1"), mailer.Wants("order.completed.v1"))
	// Output: mailer true false
}
