// Package inventory counts what there is and holds it for orders. A reservation belongs to its order's saga and never expires
// by itself.
package inventory

import (
	"context"
	"embed"
	"fmt"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/step"
)

// Service is the inventory service.
type Service struct {
	db  *database.DB
	box *outbox.Outbox
}

// New returns the service on its outbox's database.
func New(box *outbox.Outbox) *Service { return &Service{db: box.DB(), box: box} }

//go:embed migrations/*.sql
var files embed.FS

// Migrations are all tables of the inventory database.
func Migrations() []database.Migrations {
	return []database.Migrations{outbox.Migrations(), step.Migrations(), database.Embedded("inventory", files)}
}

// Level is what there is of one SKU. Available is OnHand less Reserved.
type Level struct {
	SKU      string `db:"sku"`
	OnHand   int64  `db:"on_hand"`
	Reserved int64  `db:"reserved"`
}

// Available is what can still be reserved.
func (l Level) Available() int64 { return l.OnHand - l.Reserved }

// Levels returns the count of every SKU, by SKU.
func (s *Service) Levels(ctx context.Context) ([]Level, error) {
	var levels []Level
	if err := s.db.Select(ctx, &levels, `SELECT sku, on_hand, reserved FROM stock ORDER BY sku`); err != nil {
		return nil, fmt.Errorf("read the stock: %w", err)
	}
	return levels, nil
}

// AddStock makes SKUs known that are not counted yet, each with the quantity on hand; the count of one that is stays as it is.
func (s *Service) AddStock(ctx context.Context, onHand []Quantity) error {
	return s.db.InTx(ctx, func(tx *database.Tx) error {
		for _, q := range onHand {
			rows, err := tx.Exec(ctx, `INSERT INTO stock (sku, on_hand) VALUES (?, ?) ON CONFLICT (sku) DO NOTHING`, q.SKU, q.Quantity)
			if err != nil {
				return fmt.Errorf("add stock of %s: %w", q.SKU, err)
			}
			if rows == 0 || q.Quantity == 0 {
				continue
			}
			if err := s.enter(ctx, tx, "opening:"+q.SKU, q, "received", "opening stock"); err != nil {
				return err
			}
		}
		return nil
	})
}

// Adjustment changes the count of a SKU by hand.
type Adjustment struct {
	// Key makes it happen once.
	Key    string
	SKU    string
	Change int64
	Note   string
}

// Adjust changes the count and announces stock.adjusted. Idempotent by Adjustment.Key. NotFound unknown_sku; Declined
// stock_reserved when fewer would be left than are held for orders.
func (s *Service) Adjust(ctx context.Context, a Adjustment) (Level, error) {
	if a.Change == 0 {
		return Level{}, fault.New(fault.Invalid, "no_change", "an adjustment changes the count by at least one")
	}
	level, err := step.Run(ctx, s.box, step.Step[Level]{
		Key: a.Key, Subject: a.SKU,
		Do: func(tx *database.Tx) (Level, error) {
			rows, err := tx.Exec(ctx, `UPDATE stock SET on_hand = on_hand + ? WHERE sku = ? AND on_hand + ? >= reserved`,
				a.Change, a.SKU, a.Change)
			if err != nil {
				return Level{}, err
			}
			level, err := levelOf(ctx, tx, a.SKU)
			if err != nil {
				return Level{}, err
			}
			if rows == 0 {
				return Level{}, fault.New(fault.Declined, "stock_reserved", "%d of %s are held for orders", level.Reserved, a.SKU)
			}
			return level, s.enter(ctx, tx, a.Key, Quantity{SKU: a.SKU, Quantity: a.Change}, "adjusted", a.Note)
		},
		Yes: func(l Level) events.Payload {
			return events.StockAdjusted{SKU: a.SKU, Change: a.Change, OnHand: l.OnHand, Note: a.Note}
		},
	})
	if err != nil {
		return Level{}, fmt.Errorf("adjust the stock of %s: %w", a.SKU, err)
	}
	return level, nil
}

func (s *Service) enter(ctx context.Context, tx *database.Tx, key string, q Quantity, kind, note string) error {
	if _, err := tx.Exec(ctx, `
		INSERT INTO stock_ledger (entry_key, sku, kind, change, note, recorded_at) VALUES (?, ?, ?, ?, ?, ?)`,
		key, q.SKU, kind, q.Quantity, note, database.At(s.box.Now())); err != nil {
		return fmt.Errorf("enter %s of %s in the stock ledger: %w", kind, q.SKU, err)
	}
	return nil
}
