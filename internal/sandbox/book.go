package sandbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"example.com/orderly/internal/sqlite"
)

// The statuses of an intent, in Stripe's words.
const (
	needsMethod  = "requires_payment_method"
	needsConfirm = "requires_confirmation"
	needsAction  = "requires_action"
	processing   = "processing"
	needsCapture = "requires_capture"
	canceled     = "canceled"
	succeeded    = "succeeded"
)

// authorized is what is held now; charges counts the successful authorisations, so captured can never exceed what was authorised.
const schema = `
CREATE TABLE IF NOT EXISTS intents (
	id            TEXT    PRIMARY KEY,
	account       TEXT    NOT NULL,
	order_id      TEXT    NOT NULL,
	metadata      TEXT    NOT NULL,
	status        TEXT    NOT NULL CHECK (status IN ('requires_payment_method', 'requires_confirmation', 'requires_action',
		'processing', 'requires_capture', 'canceled', 'succeeded')),
	amount        BIGINT  NOT NULL CHECK (amount > 0),
	currency      TEXT    NOT NULL CHECK (length(currency) = 3),
	method        TEXT    NOT NULL,
	authorized    BIGINT  NOT NULL DEFAULT 0 CHECK (authorized >= 0),
	captured      BIGINT  NOT NULL DEFAULT 0 CHECK (captured >= 0),
	refunded      BIGINT  NOT NULL DEFAULT 0 CHECK (refunded >= 0),
	charges       INTEGER NOT NULL DEFAULT 0 CHECK (charges IN (0, 1)),
	error_code    TEXT    NOT NULL DEFAULT '',
	decline_code  TEXT    NOT NULL DEFAULT '',
	error_message TEXT    NOT NULL DEFAULT '',
	cancel_reason TEXT    NOT NULL DEFAULT '',
	created_at    BIGINT  NOT NULL,
	canceled_at   BIGINT  NOT NULL DEFAULT 0,
	settles_at    BIGINT  NOT NULL DEFAULT 0,
	CHECK (authorized + captured <= amount * charges),
	CHECK (refunded <= captured),
	CHECK ((authorized > 0) = (status = 'requires_capture')),
	CHECK ((captured > 0) = (status = 'succeeded')),
	CHECK ((canceled_at > 0) = (status = 'canceled'))
);
CREATE INDEX IF NOT EXISTS intents_by_order ON intents (order_id);
CREATE INDEX IF NOT EXISTS intents_settling ON intents (settles_at) WHERE status = 'processing';
CREATE TABLE IF NOT EXISTS refunds (
	id         TEXT   PRIMARY KEY,
	intent_id  TEXT   NOT NULL REFERENCES intents (id),
	amount     BIGINT NOT NULL CHECK (amount > 0),
	reason     TEXT   NOT NULL,
	metadata   TEXT   NOT NULL,
	created_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS refunds_by_intent ON refunds (intent_id);
CREATE TABLE IF NOT EXISTS idempotency_keys (
	account     TEXT    NOT NULL,
	key         TEXT    NOT NULL,
	fingerprint TEXT    NOT NULL,
	status      INTEGER NOT NULL,
	body        BLOB    NOT NULL,
	created_at  BIGINT  NOT NULL,
	PRIMARY KEY (account, key)
);
CREATE TABLE IF NOT EXISTS habits_fired (
	scope TEXT NOT NULL,
	call  TEXT NOT NULL,
	PRIMARY KEY (scope, call)
);`

// openBook uses one connection with an exclusive lock on the file: transactions are then serial, which is all the atomicity the
// transitions need, and a second process is told at once instead of corrupting the in-flight bookkeeping of the first.
func openBook(ctx context.Context, path string) (*sql.DB, error) {
	if err := sqlite.MakePrivate(path); err != nil {
		return nil, fmt.Errorf("make the sandbox's book %s: %w", path, err)
	}
	pragmas := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "locking_mode(EXCLUSIVE)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
	}}
	db := sqlite.Open("file:"+(&url.URL{Path: path}).EscapedPath()+"?"+pragmas.Encode(), nil)
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("open the sandbox's book %s (is another process using it?): %w", path, err), db.Close())
	}
	return db, nil
}

type intent struct {
	id, account, orderID string
	metadata             map[string]string
	status               string
	amount               int64
	currency             string
	method               string
	authorized           int64
	captured             int64
	refunded             int64
	charges              int
	errorCode            string
	declineCode          string
	errorMessage         string
	cancelReason         string
	createdAt            time.Time
	canceledAt           int64
	settlesAt            time.Time
}

func (i *intent) chargeID() string {
	if i.charges == 0 {
		return ""
	}
	return "ch_" + i.id[len("pi_"):]
}

const intentColumns = `id, account, order_id, metadata, status, amount, currency, method, authorized, captured, refunded, charges,
	error_code, decline_code, error_message, cancel_reason, created_at, canceled_at, settles_at`

func scanIntent(row interface{ Scan(...any) error }) (*intent, error) {
	var (
		i                 intent
		metadata          string
		created, settling int64
	)
	err := row.Scan(&i.id, &i.account, &i.orderID, &metadata, &i.status, &i.amount, &i.currency, &i.method, &i.authorized, &i.captured,
		&i.refunded, &i.charges, &i.errorCode, &i.declineCode, &i.errorMessage, &i.cancelReason, &created, &i.canceledAt, &settling)
	if err != nil {
		return nil, err
	}
	i.createdAt, i.settlesAt = time.UnixMilli(created).UTC(), time.UnixMilli(settling).UTC()
	return &i, json.Unmarshal([]byte(metadata), &i.metadata)
}

// findIntent returns nil where the account has no such intent.
func findIntent(ctx context.Context, tx *sql.Tx, account, id string) (*intent, error) {
	i, err := scanIntent(tx.QueryRowContext(ctx, `SELECT `+intentColumns+` FROM intents WHERE id = ? AND account = ?`, id, account))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return i, err
}

func insertIntent(ctx context.Context, tx *sql.Tx, i *intent) error {
	metadata, err := json.Marshal(i.metadata)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO intents (id, account, order_id, metadata, status, amount, currency, method, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		i.id, i.account, i.orderID, string(metadata), i.status, i.amount, i.currency, i.method, i.createdAt.UnixMilli())
	return err
}

// move writes what became of the intent, provided it is still in the state it was read in.
func (i *intent) move(ctx context.Context, tx *sql.Tx, from string, refundedBefore int64) error {
	res, err := tx.ExecContext(ctx, `
		UPDATE intents
		SET status = ?, method = ?, authorized = ?, captured = ?, refunded = ?, charges = ?, error_code = ?, decline_code = ?,
			error_message = ?, cancel_reason = ?, canceled_at = ?, settles_at = ?
		WHERE id = ? AND status = ? AND refunded = ?`,
		i.status, i.method, i.authorized, i.captured, i.refunded, i.charges, i.errorCode, i.declineCode,
		i.errorMessage, i.cancelReason, i.canceledAt, i.settlesAt.UnixMilli(), i.id, from, refundedBefore)
	if err != nil {
		return fmt.Errorf("move %s from %s to %s: %w", i.id, from, i.status, err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fmt.Errorf("move %s: no longer %s", i.id, from), err)
	}
	return nil
}
