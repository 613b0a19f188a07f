// Package payments holds, captures and refunds money through a payment provider, at most once per order. A crash at any point can be
// resolved: the service creates an intent that holds nothing, commits its id, and only then confirms it. From then on the intent's
// status at the provider tells what a call did whose answer was lost.
package payments

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/step"
)

// Service is the payments service.
type Service struct {
	db      *database.DB
	box     *outbox.Outbox
	gateway Gateway
}

// New returns the service on its outbox's database, paying through gateway.
func New(box *outbox.Outbox, gateway Gateway) *Service {
	return &Service{db: box.DB(), box: box, gateway: gateway}
}

//go:embed migrations/*.sql
var files embed.FS

// Migrations are all tables of the payments database.
func Migrations() []database.Migrations {
	return []database.Migrations{outbox.Migrations(), step.Migrations(), database.Embedded("payments", files)}
}

// State is where an order's payment stands in our book.
type State string

// The states. A payment stays StateStarted from before its intent is made until its hold is recorded; also when it was declined.
const (
	StateStarted    State = "started"
	StateAuthorized State = "authorized"
	StateCaptured   State = "captured"
	StateVoided     State = "voided"
	StateRefunded   State = "refunded"
)

// payment is the row of one order.
type payment struct {
	OrderID       string `db:"order_id"`
	State         State  `db:"state"`
	GivenUp       bool   `db:"given_up"`
	IntentID      string `db:"intent_id"`
	AmountMinor   int64  `db:"amount_minor"`
	Currency      string `db:"currency"`
	PaymentMethod string `db:"payment_method"`
	KeyNumber     int    `db:"attempts"`
	// GivenUpReason is read by giveUp alone.
	GivenUpReason string `db:"given_up_reason"`
}

// key is the idempotency key of one call to the provider: the saga's key, so that a retry repeats it in any process, the name of the call,
// and a number that only rotateKey increases.
func (p payment) key(step, call string) string {
	return fmt.Sprintf("%s:%s:%d", step, call, p.KeyNumber)
}

func find(ctx context.Context, get database.Getter, orderID string) (payment, error) {
	var p payment
	err := get(ctx, &p, `
		SELECT order_id, state, given_up, intent_id, amount_minor, currency, payment_method, attempts
		FROM payments WHERE order_id = ?`, orderID)
	if errors.Is(err, sql.ErrNoRows) {
		return p, fault.New(fault.NotFound, "payment_not_found", "there is no payment of order %s", orderID)
	}
	if err != nil {
		return p, fmt.Errorf("read the payment of order %s: %w", orderID, err)
	}
	return p, nil
}

// rotateKey makes the next attempt use a new idempotency key. Call it only if the intent is read before the call is repeated, or if
// repeating the call is harmless, as it is for Create: otherwise a call that did have its effect is made twice.
func (s *Service) rotateKey(ctx context.Context, p payment) error {
	_, err := s.db.Exec(ctx, `UPDATE payments SET attempts = attempts + 1, updated_at = ? WHERE order_id = ? AND attempts = ?`,
		database.At(s.box.Now()), p.OrderID, p.KeyNumber)
	if err != nil {
		return fmt.Errorf("change the idempotency key for the payment of order %s: %w", p.OrderID, err)
	}
	return nil
}

// keyExhausted reports whether err is an unknown outcome that the provider repeats for this key: only another key gets further.
func keyExhausted(err error) bool {
	unknown, ok := errors.AsType[*UnknownOutcome](err)
	return ok && unknown.KeyExhausted
}

// rejectUnknownIntent turns "no such intent" into a configuration error. Our API key may belong to another account, and the money may be
// held in the right one, so the answer must not count as a no.
func rejectUnknownIntent(err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return fault.New(fault.Internal, CodeMisconfigured, "%v", err)
	}
	return err
}

// refuseGivenUp refuses to record an outcome once an undo has begun. The undo commits given_up before it reads the intent, so it also
// releases what this attempt came to hold. The row stays locked until the outcome is committed.
func refuseGivenUp(ctx context.Context, tx *database.Tx, orderID string) error {
	var p payment
	if err := tx.Get(ctx, &p, `SELECT given_up, given_up_reason FROM payments WHERE order_id = ?`+tx.LockRows(), orderID); err != nil {
		return fmt.Errorf("read the payment of order %s: %w", orderID, err)
	}
	if p.GivenUp {
		return step.Undone(p.GivenUpReason, "the payment of order %s was given up", orderID)
	}
	return nil
}

// errUndone is what an attempt that finds the payment given up comes to. refuseGivenUp then answers with the reason.
func errUndone(orderID string) error {
	return step.Undone("", "the payment of order %s was given up", orderID)
}
