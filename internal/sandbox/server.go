package sandbox

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// call is one request to the API on its way through.
type call struct {
	name        string
	account     string
	key         string
	fingerprint string
	form        url.Values
	id          string // of the object in the path
	intent      *intent
	now         time.Time
	wait        time.Duration // how long this sandbox's processing methods take
}

// runner executes a call inside the transaction that also saves its answer. An error means that nothing happened.
type runner func(ctx context.Context, tx *sql.Tx, c *call) (answer, error)

// post serves a call that may change the book. The order of the layers is Stripe's: the key of the account, rate limits, the
// idempotency layer, validation, execution.
func (s *Sandbox) post(name string, run runner) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, refusal := s.receive(w, r, name)
		if refusal != nil {
			refusal.write(w)
			return
		}
		// A request that arrived is carried out even if its sender hangs up.
		ctx := context.WithoutCancel(r.Context())
		orderID, method, err := s.subject(ctx, c)
		if err != nil {
			s.fail(w, c, err)
			return
		}
		s.faults.count(orderID, name)
		if !s.faults.pass(name, orderID, "before") {
			cut()
		}
		if !s.keys.claim(c.account, c.key) {
			busy := problem{
				Type: "idempotency_error", Code: "idempotency_key_in_use",
				Message: "There is currently another in-progress request using this Idempotency-Key.",
			}.answer(http.StatusConflict)
			busy.retry = "true"
			busy.write(w)
			return
		}
		a, struck, err := func() (answer, habit, error) {
			defer s.keys.release(c.account, c.key)
			if !s.faults.pass(name, orderID, "during") {
				cut()
			}
			return s.execute(ctx, c, method, run)
		}()
		if err != nil {
			s.fail(w, c, err)
			return
		}
		s.cfg.Logger.Info("payment provider call",
			"call", name, "order_id", orderID, "status", a.status, "replayed", a.replayed, "habit", string(struck))
		if !s.faults.pass(name, orderID, "after") || struck == answerLost {
			cut()
		}
		if struck == slowAnswer && !s.faults.sleep(s.cfg.SlowAnswer) {
			cut()
		}
		a.write(w)
	}
}

// get serves a call that only reads.
func (s *Sandbox) get(name string, run runner) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, refusal := s.receive(w, r, name)
		if refusal != nil {
			refusal.write(w)
			return
		}
		a, err := s.inTx(r.Context(), c, run)
		if err != nil {
			s.fail(w, c, err)
			return
		}
		if c.intent != nil {
			s.faults.count(c.intent.orderID, name)
			if !s.faults.pass(name, c.intent.orderID, "after") {
				cut()
			}
		}
		a.write(w)
	}
}

// cut drops the connection without a byte of an answer.
func cut() { panic(http.ErrAbortHandler) }

func (s *Sandbox) fail(w http.ResponseWriter, c *call, err error) {
	s.cfg.Logger.Error("payment provider call failed", "call", c.name, "error", err)
	refuse(http.StatusInternalServerError, "api_error", "", "The sandbox failed: %v", err).write(w)
}

func (s *Sandbox) receive(w http.ResponseWriter, r *http.Request, name string) (*call, *answer) {
	w.Header().Set("Request-Id", "req_"+rand.Text())
	switch s.faults.outageMode() {
	case outageUnavailable:
		a := refuse(http.StatusServiceUnavailable, "api_error", "", "The service is temporarily unavailable.")
		a.retryAfter = "1"
		return nil, &a
	case outageDrop:
		cut()
	}
	key, _, _ := r.BasicAuth() // curl -u sk_test_...:
	if bearer, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		key = bearer
	}
	if !strings.HasPrefix(key, "sk_test_") {
		a := refuse(http.StatusUnauthorized, "invalid_request_error", "",
			"Invalid API Key provided. The sandbox takes any key that begins with sk_test_.")
		return nil, &a
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		a := refuse(http.StatusBadRequest, "invalid_request_error", "", "Invalid request body: %v", err)
		return nil, &a
	}
	idempotencyKey := r.Header.Get("Idempotency-Key")
	if len(idempotencyKey) > 255 {
		a := refuse(http.StatusBadRequest, "idempotency_error", "", "Idempotency-Key is longer than 255 characters.")
		return nil, &a
	}
	account := sha256.Sum256([]byte(key))
	fingerprint := sha256.Sum256([]byte(r.Method + " " + r.URL.Path + "\n" + r.Form.Encode()))
	return &call{
		name: name, account: hex.EncodeToString(account[:8]), key: idempotencyKey, fingerprint: hex.EncodeToString(fingerprint[:]),
		form: r.Form, id: r.PathValue("id"), now: s.cfg.Now(), wait: s.cfg.ProcessingFor,
	}, nil
}

// intentID is the intent a call is about; empty for create.
func (c *call) intentID() string {
	if c.id != "" {
		return c.id
	}
	return c.form.Get("payment_intent")
}

// subject looks up, ahead of the transaction, which order a call is about and which method's habits apply.
func (s *Sandbox) subject(ctx context.Context, c *call) (orderID, method string, err error) {
	if c.name == "create" {
		return c.form.Get("metadata[order_id]"), c.form.Get("payment_method"), nil
	}
	_, err = s.inTx(ctx, c, func(context.Context, *sql.Tx, *call) (answer, error) { return answer{}, nil })
	if err != nil || c.intent == nil {
		return "", "", err
	}
	orderID, method = c.intent.orderID, c.intent.method
	if given := c.form.Get("payment_method"); given != "" {
		method = given
	}
	return orderID, method, nil
}

// inTx runs a call in one transaction with its intent loaded as it stands now.
func (s *Sandbox) inTx(ctx context.Context, c *call, run runner) (answer, error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return answer{}, fmt.Errorf("begin %s: %w", c.name, err)
	}
	defer func() { _ = tx.Rollback() }() // a no-op once committed
	c.now = s.cfg.Now()
	if id := c.intentID(); id != "" {
		if c.intent, err = findIntent(ctx, tx, c.account, id); err != nil {
			return answer{}, fmt.Errorf("load %s: %w", id, err)
		}
		if c.intent != nil {
			if err := c.intent.settle(ctx, tx, c.now); err != nil {
				return answer{}, err
			}
		}
	}
	a, err := run(ctx, tx, c)
	if err != nil {
		return answer{}, err
	}
	if err := tx.Commit(); err != nil {
		return answer{}, fmt.Errorf("commit %s: %w", c.name, err)
	}
	return a, nil
}

// execute does the call, lets the method's habit strike, and saves the answer under the key: one transaction for all three.
func (s *Sandbox) execute(ctx context.Context, c *call, method string, run runner) (a answer, struck habit, err error) {
	a, err = s.inTx(ctx, c, func(ctx context.Context, tx *sql.Tx, c *call) (answer, error) {
		h, err := c.dueHabit(ctx, tx, methods[method])
		if err != nil {
			return answer{}, err
		}
		if h == rateLimited {
			struck = h
			a := refuse(http.StatusTooManyRequests, "invalid_request_error", "rate_limit", "Too many requests hit the API too quickly.")
			a.retryAfter = "1"
			return a, c.strike(ctx, tx)
		}
		if saved, found, err := c.savedAnswer(ctx, tx); err != nil || found {
			return saved, err
		}
		a := brokenSide()
		switch {
		case h == refusedOnce && c.intent != nil:
			a = rejected(c.intent, "charge_disputed", "This charge is disputed.")
		case h != errorBefore:
			if a, err = run(ctx, tx, c); err != nil {
				return answer{}, err
			}
			if a.status >= http.StatusBadRequest {
				h = "" // nothing took effect, so there is nothing to spoil
			}
			if h == errorAfter {
				a = brokenSide()
			}
		}
		if h != "" {
			struck = h
			if err := c.strike(ctx, tx); err != nil {
				return answer{}, err
			}
		}
		if !a.kept {
			return a, nil
		}
		return a, c.saveAnswer(ctx, tx, a)
	})
	return a, struck, err
}

// habitScope is what a habit strikes once.
func (c *call) habitScope() string {
	if c.name == "create" {
		return "order " + c.form.Get("metadata[order_id]")
	}
	return c.intentID()
}

func (c *call) dueHabit(ctx context.Context, tx *sql.Tx, m Method) (habit, error) {
	if m.habit == "" || m.habitCall != c.name || (c.name != "create" && c.intent == nil) {
		return "", nil
	}
	var fired int
	err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM habits_fired WHERE scope = ? AND call = ?`, c.habitScope(), c.name).Scan(&fired)
	if err != nil || fired > 0 {
		return "", err
	}
	return m.habit, nil
}

func (c *call) strike(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO habits_fired (scope, call) VALUES (?, ?)`, c.habitScope(), c.name)
	return err
}

// understood refuses parameters this sandbox would otherwise silently ignore. Those in passed have no influence here.
func (c *call) understood(params ...string) (answer, bool) {
	passed := []string{
		"expand", "description", "statement_descriptor", "statement_descriptor_suffix", "receipt_email", "return_url", "off_session",
		"use_stripe_sdk", "payment_method_types", "automatic_payment_methods",
	}
	for name := range c.form {
		base, _, _ := strings.Cut(name, "[")
		if !slices.Contains(params, base) && !slices.Contains(passed, base) {
			return invalidParam("parameter_unknown", name, "Received unknown parameter: %s", name), false
		}
	}
	return answer{}, true
}

// expand returns the set of expand[] parameters, in both spellings clients use.
func (c *call) expand() map[string]bool {
	set := map[string]bool{}
	for name, values := range c.form {
		if base, _, _ := strings.Cut(name, "["); base == "expand" {
			for _, v := range values {
				set[v] = true
			}
		}
	}
	return set
}
