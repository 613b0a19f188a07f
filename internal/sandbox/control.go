package sandbox

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Charge is one line of the book: what the provider believes about one intent. Amounts are in minor units.
type Charge struct {
	PaymentIntent string `json:"payment_intent"`
	OrderID       string `json:"order_id"` // from metadata.order_id
	Status        string `json:"status"`   // in Stripe's words
	Currency      string `json:"currency"` // ISO 4217, upper case
	PaymentMethod string `json:"payment_method"`
	AmountMinor   int64  `json:"amount_minor"`
	// AuthorizedMinor is held at this moment; CapturedMinor was taken, RefundedMinor of it given back.
	AuthorizedMinor int64 `json:"authorized_minor"`
	CapturedMinor   int64 `json:"captured_minor"`
	RefundedMinor   int64 `json:"refunded_minor"`
	// Charges counts the successful authorisations there ever were, also if the hold is gone.
	Charges   int       `json:"charges"`
	CreatedAt time.Time `json:"created_at"`
}

// Book returns every charge the provider believes in, the oldest first; of one order if orderID is not empty.
func (s *Sandbox) Book(ctx context.Context, orderID string) ([]Charge, error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // a no-op once committed
	rows, err := tx.QueryContext(ctx, `
		SELECT `+intentColumns+` FROM intents WHERE (? = '' OR order_id = ?) ORDER BY rowid`, orderID, orderID)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	intents := []*intent{}
	for rows.Next() {
		i, err := scanIntent(rows)
		if err != nil {
			return nil, err
		}
		intents = append(intents, i)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	book := []Charge{}
	for _, i := range intents {
		if err := i.settle(ctx, tx, s.cfg.Now()); err != nil {
			return nil, err
		}
		book = append(book, Charge{
			PaymentIntent: i.id, OrderID: i.orderID, Status: i.status, Currency: strings.ToUpper(i.currency), PaymentMethod: i.method,
			AmountMinor: i.amount, AuthorizedMinor: i.authorized, CapturedMinor: i.captured, RefundedMinor: i.refunded,
			Charges: i.charges, CreatedAt: i.createdAt,
		})
	}
	return book, tx.Commit()
}

func (s *Sandbox) serveBook(w http.ResponseWriter, r *http.Request) {
	book, err := s.Book(r.Context(), r.URL.Query().Get("order_id"))
	if err != nil {
		s.cfg.Logger.Error("read the sandbox's book", "error", err)
		reply(w, http.StatusInternalServerError, map[string]string{"error": "the book cannot be read"})
		return
	}
	reply(w, http.StatusOK, book)
}

func (s *Sandbox) serveHealth(w http.ResponseWriter, r *http.Request) {
	if err := s.db.PingContext(r.Context()); err != nil {
		reply(w, http.StatusServiceUnavailable, map[string]string{"status": "the book cannot be opened"})
		return
	}
	reply(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s *Sandbox) serveMethods(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, Methods())
}

// forgetKeys does what Stripe may do after a day.
func (s *Sandbox) forgetKeys(w http.ResponseWriter, r *http.Request) {
	res, err := s.db.ExecContext(r.Context(), `DELETE FROM idempotency_keys`)
	if err != nil {
		reply(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		return
	}
	n, err := res.RowsAffected()
	if err != nil {
		reply(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		return
	}
	reply(w, http.StatusOK, map[string]int64{"forgotten": n})
}

var holdable = []string{"create", "get", "confirm", "capture", "cancel", "refund"}

func (s *Sandbox) addHold(w http.ResponseWriter, r *http.Request) {
	in := struct {
		Call    string `json:"call"`
		OrderID string `json:"order_id"`
		When    string `json:"when"`
	}{When: "after"}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&in); err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	if !slices.Contains(holdable, in.Call) || !slices.Contains([]string{"before", "during", "after"}, in.When) ||
		(in.Call == "get" && in.When != "after") {
		reply(w, http.StatusBadRequest, map[string]string{
			"error": "call must be one of " + strings.Join(holdable, ", ") + "; when must be before, during or after (get: after)",
		})
		return
	}
	reply(w, http.StatusCreated, s.faults.addHold(in.Call, in.OrderID, in.When))
}

func (s *Sandbox) listHolds(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, s.faults.listHolds())
}

func (s *Sandbox) releaseHold(w http.ResponseWriter, r *http.Request) {
	if !s.faults.letGo(r.PathValue("id")) {
		reply(w, http.StatusNotFound, map[string]string{"error": "no such hold"})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Sandbox) setOutage(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Mode outage `json:"mode"`
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&in)
	if err != nil || !slices.Contains([]outage{outageOff, outageUnavailable, outageDrop}, in.Mode) {
		reply(w, http.StatusBadRequest, map[string]string{"error": "mode must be off, unavailable or drop"})
		return
	}
	s.faults.setOutage(in.Mode)
	reply(w, http.StatusOK, in)
}

func (s *Sandbox) listCalls(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusOK, s.faults.counted(r.URL.Query().Get("order_id")))
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(encode(v)) // a client that has gone away asks again
}
