package orders

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/money"
)

// locked reads a row and locks it, so that no other transaction changes it before this one ends.
func locked(tx *database.Tx) database.Getter {
	return func(ctx context.Context, dest any, query string, args ...any) error {
		return tx.Get(ctx, dest, query+tx.LockRows(), args...)
	}
}

// storable reports whether both engines take s as a text. PostgreSQL fails the statement of one that is not, so what a client
// sends is asked first.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// orderColumns are those of an orderRow.
const orderColumns = `id, customer_id, state, reason, total_minor, currency, payment_method,
	attention, attention_step, attention_reason, attention_at, created_at, updated_at`

type orderRow struct {
	ID              string        `db:"id"`
	CustomerID      string        `db:"customer_id"`
	State           State         `db:"state"`
	Reason          string        `db:"reason"`
	TotalMinor      int64         `db:"total_minor"`
	Currency        string        `db:"currency"`
	PaymentMethod   string        `db:"payment_method"`
	Attention       Attention     `db:"attention"`
	AttentionStep   string        `db:"attention_step"`
	AttentionReason string        `db:"attention_reason"`
	AttentionAt     database.Time `db:"attention_at"`
	CreatedAt       database.Time `db:"created_at"`
	UpdatedAt       database.Time `db:"updated_at"`
}

func (r orderRow) order() Order {
	return Order{
		ID: r.ID, CustomerID: r.CustomerID, State: r.State, Reason: r.Reason,
		Total: money.Money{Minor: r.TotalMinor, Currency: r.Currency}, PaymentMethod: r.PaymentMethod,
		Attention: r.Attention, AttentionStep: r.AttentionStep, AttentionReason: r.AttentionReason, AttentionAt: r.AttentionAt.Time,
		CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time,
	}
}

// Get returns the order; NotFound order_not_found when there is none.
func (s *Service) Get(ctx context.Context, id string) (Order, error) {
	order, err := find(ctx, s.db.Get, id)
	if err != nil {
		return Order{}, err
	}
	if err := s.db.Select(ctx, &order.Lines, `
		SELECT sku, name, quantity, unit_price_minor FROM order_lines WHERE order_id = ? ORDER BY line`, id); err != nil {
		return Order{}, fmt.Errorf("read the lines of order %s: %w", id, err)
	}
	return order, nil
}

// GetOwned is Get for one customer: another customer's order is as unknown as one that does not exist.
func (s *Service) GetOwned(ctx context.Context, customerID, id string) (Order, error) {
	order, err := s.Get(ctx, id)
	if err == nil && order.CustomerID != customerID {
		return Order{}, notFound(id)
	}
	return order, err
}

func find(ctx context.Context, get database.Getter, id string) (Order, error) {
	if !storable(id) {
		return Order{}, notFound(id)
	}
	var row orderRow
	err := get(ctx, &row, `
		SELECT `+orderColumns+` FROM orders WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return Order{}, notFound(id)
	}
	if err != nil {
		return Order{}, fmt.Errorf("read order %s: %w", id, err)
	}
	return row.order(), nil
}

func notFound(id string) error {
	return fault.New(fault.NotFound, "order_not_found", "there is no order %s", id)
}

// MarkStarted records that the sagas of these orders, one at least, were accepted by Temporal. Idempotent.
func (s *Service) MarkStarted(ctx context.Context, ids ...string) error {
	among, arg := s.db.Among(`id`, ids)
	_, err := s.db.Exec(ctx, `UPDATE orders SET saga_started_at = ? WHERE `+among+` AND `+database.Check(`saga_started_at IS NULL`),
		database.At(s.box.Now()), arg)
	if err != nil {
		return fmt.Errorf("mark the sagas of %d orders started (%s, ...): %w", len(ids), ids[0], err)
	}
	return nil
}

// MarkUnstarted makes the sweep start the saga of an open order anew. It is for an order whose saga Temporal does not know any
// more; what that saga did is answered from the records of its steps. Idempotent.
func (s *Service) MarkUnstarted(ctx context.Context, id string) error {
	_, err := s.db.Exec(ctx, `UPDATE orders SET saga_started_at = NULL WHERE id = ? AND state IN ('pending', 'confirmed')`, id)
	if err != nil {
		return fmt.Errorf("have the saga of order %s started anew: %w", id, err)
	}
	return nil
}

// Open and Unstarted take their limit from a sub-select, so that PostgreSQL does not know it when it plans. With a limit that it knows,
// some statistics make it read and sort all rows.

// Open returns the ids of up to limit open orders beyond the id after, in their order, whose saga was started at least age ago.
func (s *Service) Open(ctx context.Context, age time.Duration, after string, limit int) ([]string, error) {
	now, err := s.box.Time(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the time to look for open orders: %w", err)
	}
	var ids []string
	if err := s.db.Select(ctx, &ids, `
		SELECT id FROM orders
		WHERE state IN ('pending', 'confirmed') AND saga_started_at <= ? AND id > ?
		ORDER BY id LIMIT (SELECT CAST(? AS BIGINT))`,
		database.At(now.Add(-age)), after, limit); err != nil {
		return nil, fmt.Errorf("look for open orders: %w", err)
	}
	return ids, nil
}

// Attentions counts the orders an operator should look at; one that has none is not in the map.
func (s *Service) Attentions(ctx context.Context) (map[Attention]int64, error) {
	var rows []struct {
		Attention Attention `db:"attention"`
		Count     int64     `db:"count"`
	}
	if err := s.db.Select(ctx, &rows, `
		SELECT attention, COUNT(*) AS count FROM orders WHERE attention IN ('stalled', 'parked') GROUP BY attention`); err != nil {
		return nil, fmt.Errorf("count what needs attention: %w", err)
	}
	counts := make(map[Attention]int64, len(rows))
	for _, row := range rows {
		counts[row.Attention] = row.Count
	}
	return counts, nil
}

// Unstarted returns up to limit orders, oldest first, that were placed at least age ago and whose saga is not marked as started.
func (s *Service) Unstarted(ctx context.Context, age time.Duration, limit int) ([]Order, error) {
	now, err := s.box.Time(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the time to look for orders without a saga: %w", err)
	}
	var ids []string
	if err := s.db.Select(ctx, &ids, `
		SELECT id FROM orders
		WHERE saga_started_at IS NULL AND created_at <= ?
		ORDER BY created_at LIMIT (SELECT CAST(? AS BIGINT))`,
		database.At(now.Add(-age)), limit); err != nil {
		return nil, fmt.Errorf("look for orders without a saga: %w", err)
	}
	orders := make([]Order, 0, len(ids))
	for _, id := range ids {
		order, err := s.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		orders = append(orders, order)
	}
	return orders, nil
}

// Unknown are those of the ids of which there is no order.
func (s *Service) Unknown(ctx context.Context, ids []string) ([]string, error) {
	among, arg := s.db.Among(`id`, ids)
	var known []string
	if err := s.db.Select(ctx, &known, `SELECT id FROM orders WHERE `+among, arg); err != nil {
		return nil, fmt.Errorf("look for %d orders: %w", len(ids), err)
	}
	slices.Sort(known)
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		_, found := slices.BinarySearch(known, id)
		return found
	}), nil
}
