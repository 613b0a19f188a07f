// Loyalty is a program of its own that listens to Orderly's events over RabbitMQ: it counts points for each customer, one for each
// whole unit of currency of an order that was completed.
//
//	RABBITMQ_URL=amqp://guest:guest@127.0.0.1:5672/ DATABASE_URL=sqlite:loyalty.db go run .
//
// DATABASE_URL may also be postgres://user:password@host:5432/loyalty, a database of its own that exists. ORDERLY_RABBITMQ_PREFIX is
// needed where Orderly has another than "orderly".
package main

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/orderly/events/listen"
	"example.com/orderly/events/rabbit"
)

// kept is how long the inbox remembers what is done. It must be longer than any event can be on its way.
const kept = 30 * 24 * time.Hour

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	pool, engine, err := listen.OpenURL(cmp.Or(os.Getenv("DATABASE_URL"), "sqlite:loyalty.db"))
	if err == nil {
		err = run(ctx, pool, engine, rabbit.Config{
			URL: os.Getenv("RABBITMQ_URL"), Prefix: os.Getenv("ORDERLY_RABBITMQ_PREFIX"), Name: "loyalty",
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "loyalty:", err)
		os.Exit(1)
	}
}

// run counts points until ctx ends; then it finishes what it has begun, leaves the rest to the queue and the inbox, and closes pool.
func run(ctx context.Context, pool *sql.DB, engine string, broker rabbit.Config) error {
	defer func() { _ = pool.Close() }()
	inbox, err := listen.Open(ctx, pool, engine, []listen.Listener{points}, listen.Options{})
	if err != nil {
		return err
	}
	if err := inbox.Migrate(ctx, tables); err != nil {
		return err
	}
	consumer, err := rabbit.NewConsumer(broker, inbox)
	if err != nil {
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return consumer.Run(ctx) }) // from the queue into the inbox
	all.Go(func() error { return inbox.Run(ctx) })    // from the inbox to the listener
	all.Go(func() error { prune(ctx, inbox); return nil })
	return all.Wait()
}

// prune makes the inbox forget what was done long ago.
func prune(ctx context.Context, inbox *listen.Inbox) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := inbox.Now(ctx)
		if err == nil {
			_, err = inbox.Prune(ctx, now.Add(-kept), 1000)
		}
		if err != nil && ctx.Err() == nil {
			slog.Warn("the inbox was not pruned", "error", err)
		}
	}
}
