package main

import (
	"context"
	"embed"
	"fmt"

	"github.com/jmoiron/sqlx"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
)

//go:embed *.sql
var files embed.FS

// tables are the listener's own, beside those of the inbox in the same database.
var tables = listen.Tables{Set: "loyalty", Files: files}

// points is the listener. Its name is its identity and that of its queue, so it stays as it is.
var points = listen.Listener{
	Subscription: listen.Subscription{Name: "loyalty", Types: []string{events.OrderCompleted{}.EventType()}},
	Apply:        addPoints,
}

// addPoints runs in the transaction that marks the event as done, so each order counts once however often its event is delivered.
func addPoints(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
	order, err := events.As[events.OrderCompleted](e)
	if err != nil {
		return listen.Permanent(err) // trying again does not help: the event is dead until an operator replays or drops it
	}
	earned, err := pointsFor(order)
	if err != nil {
		return listen.Permanent(err)
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO points (customer_id, points) VALUES (?, ?)
		ON CONFLICT (customer_id) DO UPDATE SET points = points.points + excluded.points`), order.CustomerID, earned)
	return err
}

// pointsFor is one point for each whole unit of the order's currency.
func pointsFor(order events.OrderCompleted) (int64, error) {
	digits, ok := events.CurrencyDigits(order.Currency)
	if !ok {
		return 0, fmt.Errorf("order %s is in the unknown currency %q", order.OrderID, order.Currency)
	}
	earned := order.TotalMinor
	for range digits {
		earned /= 10
	}
	return earned, nil
}
