package orders

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/paymenttoken"
)

// keyForm is what an idempotency key may look like: up to 255 printable ASCII characters.
var keyForm = regexp.MustCompile(`^[\x21-\x7e]{1,255}$`)

// Placement is a request to place an order.
type Placement struct {
	CustomerID string
	// IdempotencyKey makes repeating the request safe; it is the customer's own, unique per order.
	IdempotencyKey string
	PaymentMethod  string
	Lines          []Wanted
	// MostOpen is how many orders of the customer may be pending at one time, this one included; 0 for any number.
	MostOpen int
}

// CheckForm refuses what no price list and no provider could make valid: Invalid idempotency_key_invalid, payment_method_invalid or
// invalid_sku.
func (p Placement) CheckForm() error {
	if !keyForm.MatchString(p.IdempotencyKey) {
		return fault.New(fault.Invalid, "idempotency_key_invalid", "the idempotency key is 1 to 255 printable ASCII characters without spaces")
	}
	if !paymenttoken.Valid(p.PaymentMethod) {
		return fault.New(fault.Invalid, "payment_method_invalid",
			"the payment method is a token of the payment provider such as pm_card_visa; card numbers are never accepted")
	}
	for i, line := range p.Lines {
		if err := CheckSKU(line.SKU); err != nil {
			return fault.New(fault.Invalid, "invalid_sku", "line %d: %v", i+1, err)
		}
	}
	return nil
}

// fingerprint tells two requests under one key apart.
func (p Placement) fingerprint() string {
	body, err := json.Marshal([]any{p.PaymentMethod, p.Lines})
	if err != nil {
		panic(err) // strings and integers always encode
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// Place accepts the order at the prices of this moment: the order, its lines, its idempotency key and order.created are one
// commit. Repeating the request with the same key returns the same order with repeated set, even if prices have changed since.
// Invalid: what CheckForm and the quote refuse, and idempotency_key_reused for another request under a known key. Limited too_many_open_orders
// where as many orders of the customer are pending as may be; a repeated request is not refused for that.
func (s *Service) Place(ctx context.Context, p Placement) (order Order, repeated bool, err error) {
	if err := p.CheckForm(); err != nil {
		return Order{}, false, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Order{}, false, err
	}
	orderID := id.String()
	err = s.db.InTx(ctx, func(tx *database.Tx) error {
		claimed, err := s.claimKey(ctx, tx, p, orderID)
		if err != nil {
			return err
		}
		if repeated = !claimed; repeated {
			earlier, found, err := earlierOrder(ctx, tx.Get, p)
			if err == nil && !found {
				err = fault.New(fault.Unavailable, "idempotency_key_expiring", "this idempotency key is just being forgotten; try again")
			}
			orderID = earlier
			return err
		}
		if err := checkOpen(ctx, tx, p); err != nil {
			return err
		}
		order, err = s.insert(ctx, tx, orderID, p)
		return err
	})
	if err != nil {
		return Order{}, false, fmt.Errorf("place an order for customer %s: %w", p.CustomerID, err)
	}
	if repeated {
		order, err = s.Get(ctx, orderID)
	}
	return order, repeated, err
}

// Repeated returns the order an earlier, equal request under the same key made, and whether there is one. It spares a
// repeated request the checks that cost something; Place decides.
func (s *Service) Repeated(ctx context.Context, p Placement) (Order, bool, error) {
	orderID, found, err := earlierOrder(ctx, s.db.Get, p)
	if err != nil || !found {
		return Order{}, false, err
	}
	order, err := s.Get(ctx, orderID)
	return order, err == nil, err
}

func (s *Service) claimKey(ctx context.Context, tx *database.Tx, p Placement, orderID string) (bool, error) {
	rows, err := tx.Exec(ctx, `
		INSERT INTO idempotency_keys (customer_id, idempotency_key, fingerprint, order_id, created_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (customer_id, idempotency_key) DO NOTHING`,
		p.CustomerID, p.IdempotencyKey, p.fingerprint(), orderID, database.At(s.box.Now()))
	return rows == 1, err
}

// openPatience is when a customer with too many open orders may ask again: most orders leave pending within seconds.
const openPatience = 10 * time.Second

// checkOpen counts the customer's pending orders: each holds stock, and no money has been taken for it. Placements of one customer wait for
// each other, or two at once would both be the last.
func checkOpen(ctx context.Context, tx *database.Tx, p Placement) error {
	if p.MostOpen == 0 {
		return nil
	}
	if err := tx.LockName(ctx, "open orders of "+p.CustomerID); err != nil {
		return err
	}
	var open int
	if err := tx.Get(ctx, &open, `SELECT COUNT(*) FROM orders WHERE customer_id = ? AND state = 'pending'`, p.CustomerID); err != nil {
		return err
	}
	if open < p.MostOpen {
		return nil
	}
	limited := fault.New(fault.Limited, "too_many_open_orders",
		"%d orders of this customer wait for their payment, and no more may: one must be paid, cancelled or given up first", open)
	limited.RetryAfter = openPatience
	return limited
}

func earlierOrder(ctx context.Context, get database.Getter, p Placement) (orderID string, found bool, err error) {
	var row struct {
		Fingerprint string `db:"fingerprint"`
		OrderID     string `db:"order_id"`
	}
	err = get(ctx, &row, `
		SELECT fingerprint, order_id FROM idempotency_keys WHERE customer_id = ? AND idempotency_key = ?`,
		p.CustomerID, p.IdempotencyKey)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	if row.Fingerprint != p.fingerprint() {
		return "", false, fault.New(fault.Invalid, "idempotency_key_reused",
			"this idempotency key was used for another order; use a new one")
	}
	return row.OrderID, true, nil
}

func (s *Service) insert(ctx context.Context, tx *database.Tx, orderID string, p Placement) (Order, error) {
	lines, total, err := quote(ctx, tx, p.Lines)
	if err != nil {
		return Order{}, err
	}
	now := database.At(s.box.Now())
	if _, err := tx.Exec(ctx, `
		INSERT INTO orders (id, customer_id, state, total_minor, currency, payment_method, created_at, updated_at)
		VALUES (?, ?, 'pending', ?, ?, ?, ?, ?)`,
		orderID, p.CustomerID, total.Minor, total.Currency, p.PaymentMethod, now, now); err != nil {
		return Order{}, err
	}
	created := events.OrderCreated{OrderID: orderID, CustomerID: p.CustomerID, TotalMinor: total.Minor, Currency: total.Currency}
	for _, line := range lines {
		created.Lines = append(created.Lines, events.Line{SKU: line.SKU, Quantity: line.Quantity, UnitPriceMinor: line.UnitPriceMinor})
	}
	if err := insertLines(ctx, tx, orderID, lines); err != nil {
		return Order{}, err
	}
	return Order{
		ID: orderID, CustomerID: p.CustomerID, State: Pending, Total: total, PaymentMethod: p.PaymentMethod,
		CreatedAt: now.Time, UpdatedAt: now.Time, Lines: lines,
	}, s.box.Append(ctx, tx, orderID, created)
}

func insertLines(ctx context.Context, tx *database.Tx, orderID string, lines []Line) error {
	args := make([]any, 0, 6*len(lines))
	for i, line := range lines {
		args = append(args, orderID, i+1, line.SKU, line.Name, line.Quantity, line.UnitPriceMinor)
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO order_lines (order_id, line, sku, name, quantity, unit_price_minor)
		VALUES (?, ?, ?, ?, ?, ?)`+strings.Repeat(`, (?, ?, ?, ?, ?, ?)`, len(lines)-1), args...)
	return err
}

// PruneKeys forgets up to limit idempotency keys that are older than age, and returns how many. A request that comes again after its key was
// forgotten is a new order. Unavailable when the database does not answer.
func (s *Service) PruneKeys(ctx context.Context, age time.Duration, limit int) (int64, error) {
	now, err := s.box.Time(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask the time to forget idempotency keys: %w", err)
	}
	return s.db.Exec(ctx, `
		DELETE FROM idempotency_keys WHERE `+s.db.AmongFree(s.db.RowID(), `
		    SELECT `+s.db.RowID()+` FROM idempotency_keys WHERE created_at < ?
		    ORDER BY created_at LIMIT (SELECT CAST(? AS BIGINT))`), database.At(now.Add(-age)), limit)
}
