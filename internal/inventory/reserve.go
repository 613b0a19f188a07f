package inventory

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/step"
)

// Quantity is a number of pieces of one SKU.
type Quantity struct {
	SKU      string `json:"sku" db:"sku"`
	Quantity int64  `json:"quantity" db:"quantity"`
}

// Reservation asks to hold every line for an order, all or nothing.
type Reservation struct {
	// Key makes it happen once: "<workflow id>:<step>".
	Key     string     `json:"Key"`
	OrderID string     `json:"OrderID"`
	Lines   []Quantity `json:"Lines"`
}

// Reserve holds every line, or none of them: Declined out_of_stock or unknown_sku, which is recorded like a success. Idempotent
// by Reservation.Key; Conflict step_undone after Release, and already_reserved where another key has reserved a SKU for the order.
func (s *Service) Reserve(ctx context.Context, r Reservation) error {
	lines, err := merged(r.Lines)
	if err != nil {
		return err
	}
	_, err = step.Run(ctx, s.box, step.Step[[]Quantity]{
		Key: r.Key, Subject: r.OrderID, Forget: true,
		Do: func(tx *database.Tx) ([]Quantity, error) {
			for _, line := range lines {
				if err := hold(ctx, tx, r.OrderID, line); err != nil {
					return nil, err
				}
			}
			return lines, nil
		},
		Yes: func(held []Quantity) events.Payload {
			return events.InventoryReserved{OrderID: r.OrderID, Lines: published(held)}
		},
		No: func(no *fault.Error) events.Payload {
			return events.InventoryRejected{OrderID: r.OrderID, Reason: no.Code}
		},
	})
	if err != nil {
		return fmt.Errorf("reserve stock for order %s: %w", r.OrderID, err)
	}
	return nil
}

// hold takes the row lock of one SKU. Orders lock their SKUs in sorted order, so two of them never wait for each other.
func hold(ctx context.Context, tx *database.Tx, orderID string, line Quantity) error {
	rows, err := tx.Exec(ctx, `UPDATE stock SET reserved = reserved + ? WHERE sku = ? AND on_hand - reserved >= ?`,
		line.Quantity, line.SKU, line.Quantity)
	if err != nil {
		return err
	}
	if rows == 0 {
		level, err := levelOf(ctx, tx, line.SKU)
		if fault.KindOf(err) == fault.NotFound {
			return fault.New(fault.Declined, "unknown_sku", "there is no stock of %s", line.SKU)
		}
		if err != nil {
			return err
		}
		return fault.New(fault.Declined, "out_of_stock", "%d of %s wanted, %d available", line.Quantity, line.SKU, level.Available())
	}
	rows, err = tx.Exec(ctx, `
		INSERT INTO reservations (order_id, sku, quantity, state) VALUES (?, ?, ?, 'held') ON CONFLICT (order_id, sku) DO NOTHING`,
		orderID, line.SKU, line.Quantity)
	if err == nil && rows == 0 {
		err = fault.New(fault.Conflict, "already_reserved", "order %s has reserved %s under another key", orderID, line.SKU)
	}
	return err
}

// Release undoes a reservation.
type Release struct {
	// Key is the undo's own; Undoes is the key of the reservation.
	Key     string `json:"Key"`
	Undoes  string `json:"Undoes"`
	OrderID string `json:"OrderID"`
	// Reason is the code of the failure for which the order is given up. A late attempt of the reservation is told it.
	Reason string `json:"reason,omitempty"`
}

// Release gives back what the order holds, and nothing when it holds nothing; from then on the reservation it undoes is
// refused. Idempotent by Release.Key.
func (s *Service) Release(ctx context.Context, r Release) error {
	_, err := step.Run(ctx, s.box, step.Step[[]Quantity]{
		Key: r.Key, Undoes: r.Undoes, Reason: r.Reason, Subject: r.OrderID, Forget: true,
		Do: func(tx *database.Tx) ([]Quantity, error) {
			var held []Quantity
			if err := tx.Select(ctx, &held, `
				SELECT sku, quantity FROM reservations WHERE order_id = ? AND state = 'held' ORDER BY sku`+tx.LockRows(),
				r.OrderID); err != nil {
				return nil, err
			}
			sortForLocking(held)
			for _, line := range held {
				if err := letGo(ctx, tx, r.OrderID, line); err != nil {
					return nil, err
				}
			}
			return held, nil
		},
		Yes: func(released []Quantity) events.Payload {
			if len(released) == 0 {
				return nil
			}
			return events.InventoryReleased{OrderID: r.OrderID, Lines: published(released)}
		},
	})
	if err != nil {
		return fmt.Errorf("release the stock of order %s: %w", r.OrderID, err)
	}
	return nil
}

func letGo(ctx context.Context, tx *database.Tx, orderID string, line Quantity) error {
	rows, err := tx.Exec(ctx, `
		UPDATE reservations SET state = 'released' WHERE order_id = ? AND sku = ? AND state = 'held'`, orderID, line.SKU)
	if err != nil || rows == 0 {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE stock SET reserved = reserved - ? WHERE sku = ?`, line.Quantity, line.SKU)
	return err
}

// merged adds up the lines of one SKU and sorts by SKU.
func merged(lines []Quantity) ([]Quantity, error) {
	if len(lines) == 0 {
		return nil, fault.New(fault.Invalid, "no_lines", "a reservation needs at least one line")
	}
	sum := make(map[string]int64, len(lines))
	for _, line := range lines {
		total := sum[line.SKU] + line.Quantity
		if line.Quantity < 1 || total < line.Quantity {
			return nil, fault.New(fault.Invalid, "invalid_quantity", "%d of %s can't be reserved", line.Quantity, line.SKU)
		}
		sum[line.SKU] = total
	}
	all := make([]Quantity, 0, len(sum))
	for sku, quantity := range sum {
		all = append(all, Quantity{SKU: sku, Quantity: quantity})
	}
	sortForLocking(all)
	return all, nil
}

// sortForLocking brings SKUs into the one order in which their rows are locked. The database's own order depends on its collation.
func sortForLocking(lines []Quantity) {
	slices.SortFunc(lines, func(a, b Quantity) int { return cmp.Compare(a.SKU, b.SKU) })
}

func published(lines []Quantity) []events.Stock {
	stock := make([]events.Stock, len(lines))
	for i, line := range lines {
		stock[i] = events.Stock(line)
	}
	return stock
}

func levelOf(ctx context.Context, tx *database.Tx, sku string) (Level, error) {
	var level Level
	err := tx.Get(ctx, &level, `SELECT sku, on_hand, reserved FROM stock WHERE sku = ?`, sku)
	if errors.Is(err, sql.ErrNoRows) {
		return Level{}, fault.New(fault.NotFound, "unknown_sku", "there is no stock of %s", sku)
	}
	return level, err
}
