package sandbox

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
)

func createRefund(ctx context.Context, tx *sql.Tx, c *call) (answer, error) {
	if a, fine := c.understood("payment_intent", "amount", "reason", "metadata"); !fine {
		return a, nil
	}
	i := c.intent
	if i == nil {
		return missing(http.StatusBadRequest, "payment_intent", "payment_intent", c.intentID()), nil
	}
	amount, refusal := c.amount("amount")
	if refusal != nil {
		return *refusal, nil
	}
	open := i.captured - i.refunded
	if amount == 0 {
		amount = open
	}
	switch m := methods[i.method]; {
	case i.status != succeeded:
		return rejected(i, "payment_intent_unexpected_state", "This PaymentIntent does not have a successful charge to refund."), nil
	case m.refundRefuse != "":
		return rejected(i, m.refundRefuse, "This charge cannot be refunded."), nil
	case open == 0:
		return rejected(i, "charge_already_refunded", fmt.Sprintf("Charge %s has already been refunded.", i.chargeID())), nil
	case amount > open:
		return invalidParam("", "amount", "Refund amount (%d) is greater than unrefunded amount on charge (%d).", amount, open), nil
	}
	before := i.refunded
	i.refunded += amount
	if err := i.move(ctx, tx, succeeded, before); err != nil {
		return answer{}, err
	}
	metadata, err := json.Marshal(c.metadata())
	if err != nil {
		return answer{}, err
	}
	r := refundJSON{
		ID: "re_" + rand.Text(), Object: "refund", Amount: amount, Charge: i.chargeID(), Created: c.now.Unix(), Currency: i.currency,
		Metadata: metadata, PaymentIntent: i.id, Reason: orNull(c.form.Get("reason")), Status: "succeeded",
	}
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO refunds (id, intent_id, amount, reason, metadata, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		r.ID, i.id, amount, c.form.Get("reason"), string(metadata), c.now.UnixMilli()); err != nil {
		return answer{}, fmt.Errorf("refund %s: %w", i.id, err)
	}
	switch expand := c.expand(); {
	case expand["payment_intent.latest_charge"]:
		r.PaymentIntent = showIntent(i, map[string]bool{"latest_charge": true})
	case expand["payment_intent"]:
		r.PaymentIntent = showIntent(i, nil)
	}
	return ok(r), nil
}

type refundJSON struct {
	ID            string          `json:"id"`
	Object        string          `json:"object"`
	Amount        int64           `json:"amount"`
	Charge        string          `json:"charge"`
	Created       int64           `json:"created"`
	Currency      string          `json:"currency"`
	Metadata      json.RawMessage `json:"metadata"`
	PaymentIntent any             `json:"payment_intent"`
	Reason        *string         `json:"reason"`
	Status        string          `json:"status"`
}

// listRefunds answers every refund of one intent on one page, the newest first.
func listRefunds(ctx context.Context, tx *sql.Tx, c *call) (answer, error) {
	if a, fine := c.understood("payment_intent", "limit", "starting_after"); !fine {
		return a, nil
	}
	if c.intent == nil {
		return missing(http.StatusBadRequest, "payment_intent", "payment_intent", c.intentID()), nil
	}
	rows, err := tx.QueryContext(ctx, `
		SELECT id, amount, reason, metadata, created_at FROM refunds WHERE intent_id = ? ORDER BY rowid DESC`, c.intent.id)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = rows.Close() }()
	data := []refundJSON{}
	for rows.Next() {
		r := refundJSON{
			Object: "refund", Charge: c.intent.chargeID(), Currency: c.intent.currency, PaymentIntent: c.intent.id, Status: "succeeded",
		}
		var (
			reason, metadata string
			created          int64
		)
		if err := rows.Scan(&r.ID, &r.Amount, &reason, &metadata, &created); err != nil {
			return answer{}, err
		}
		r.Reason, r.Metadata, r.Created = orNull(reason), json.RawMessage(metadata), created/1000
		data = append(data, r)
	}
	return ok(map[string]any{"object": "list", "url": "/v1/refunds", "has_more": false, "data": data}), rows.Err()
}
