package sandbox

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"sync"
	"time"
)

// keyLife is how long an idempotency key is remembered. Stripe promises no more than this.
const keyLife = 24 * time.Hour

// inFlight holds the keys of requests being executed. It need not survive a crash: neither do the requests.
type inFlight struct {
	mu   sync.Mutex
	busy map[[2]string]bool
}

func newInFlight() inFlight { return inFlight{busy: map[[2]string]bool{}} }

// claim reports whether the caller now owns the key. A request without a key always does.
func (f *inFlight) claim(account, key string) bool {
	if key == "" {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy[[2]string{account, key}] {
		return false
	}
	f.busy[[2]string{account, key}] = true
	return true
}

func (f *inFlight) release(account, key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.busy, [2]string{account, key})
}

// savedAnswer returns what the key's first request was answered, or the refusal of a key used for something else.
func (c *call) savedAnswer(ctx context.Context, tx *sql.Tx) (answer, bool, error) {
	if c.key == "" {
		return answer{}, false, nil
	}
	var (
		a           = answer{replayed: true}
		fingerprint string
		created     int64
	)
	err := tx.QueryRowContext(ctx, `
		SELECT fingerprint, status, body, created_at FROM idempotency_keys WHERE account = ? AND key = ?`,
		c.account, c.key).Scan(&fingerprint, &a.status, &a.body, &created)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return answer{}, false, nil
	case err != nil:
		return answer{}, false, err
	case c.now.Sub(time.UnixMilli(created)) >= keyLife:
		_, err := tx.ExecContext(ctx, `DELETE FROM idempotency_keys WHERE account = ? AND key = ?`, c.account, c.key)
		return answer{}, false, err
	case fingerprint != c.fingerprint:
		return refuse(http.StatusBadRequest, "idempotency_error", "",
			"Keys for idempotent requests can only be used with the same endpoint and parameters they were first used with."), true, nil
	}
	if a.status >= http.StatusInternalServerError {
		a.retry = "false"
	}
	return a, true, nil
}

func (c *call) saveAnswer(ctx context.Context, tx *sql.Tx, a answer) error {
	if c.key == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO idempotency_keys (account, key, fingerprint, status, body, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		c.account, c.key, c.fingerprint, a.status, a.body, c.now.UnixMilli())
	return err
}
