// Package sandbox is a payment provider to develop and test against: a small stateful server that speaks the part of Stripe's
// v1 API this project uses, with Stripe's idempotency keys, Stripe's errors and, on request, lost answers, failures and delays as at
// Stripe (see Methods). Any client of Stripe works against it unchanged; development and production differ by a URL and a key.
//
// It stands for the world outside, so it shares no code with the payments service and never trusts it: its book has its own
// constraints, and audits compare the two. One sandbox holds the accounts of all test keys; intents and idempotency keys of one
// key are invisible to another.
//
// Everything that was acknowledged is in one file and survives kill -9 at any moment: an effect, the answer saved for its idempotency
// key and the mark of a habit that fired are one transaction. Holds, outages and call counts are aids for tests and live in memory.
package sandbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrLiveKey is returned by Open beside a live key: orders of real customers would complete without being paid.
var ErrLiveKey = errors.New("the sandbox payment provider refuses to start beside a live Stripe key (sk_live_... or rk_live_...)")

// Config says where the book is kept and how the sandbox keeps time. The zero value of everything but Dir works.
type Config struct {
	// Dir is the folder of the book; it is made if missing. One process at a time.
	Dir string
	// Addr is host:port as the sandbox was told to listen on. Its book and its controls are only shown to who asks by it, or by a name or
	// an address of the loopback interface.
	Addr string
	// APIKey is the Stripe key this installation is configured with. It is only looked at to refuse a live one.
	APIKey string
	// Now is the provider's clock.
	Now func() time.Time
	// Logger gets one line per state change, with order_id.
	Logger *slog.Logger
	// SlowAnswer is how long the slow methods hold back an answer; 3 s if zero.
	SlowAnswer time.Duration
	// ProcessingFor is how long the processing methods stay in processing; 3 s if zero.
	ProcessingFor time.Duration
}

// Sandbox is the provider. Its methods are safe for concurrent use.
type Sandbox struct {
	cfg    Config
	db     *sql.DB
	keys   inFlight
	faults faults
}

// Open opens the book in cfg.Dir, making it on first use. It returns ErrLiveKey beside a live key, and an error naming the file
// if another process has it open.
func Open(ctx context.Context, cfg Config) (*Sandbox, error) {
	if strings.HasPrefix(cfg.APIKey, "sk_live_") || strings.HasPrefix(cfg.APIKey, "rk_live_") {
		return nil, ErrLiveKey
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.SlowAnswer == 0 {
		cfg.SlowAnswer = 3 * time.Second
	}
	if cfg.ProcessingFor == 0 {
		cfg.ProcessingFor = 3 * time.Second
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the sandbox's folder: %w", err)
	}
	db, err := openBook(ctx, filepath.Join(cfg.Dir, "sandbox.db"))
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, `DELETE FROM idempotency_keys WHERE created_at <= ?`, cfg.Now().Add(-keyLife).UnixMilli()); err != nil {
		return nil, errors.Join(fmt.Errorf("prune the sandbox's keys: %w", err), db.Close())
	}
	return &Sandbox{cfg: cfg, db: db, keys: newInFlight(), faults: newFaults()}, nil
}

// Close lets go of every held answer and closes the book. Serve no more requests afterwards.
func (s *Sandbox) Close() error {
	s.faults.close()
	return s.db.Close()
}

// Handler serves Stripe's API under /v1, the book under /book, the test payment methods under /payment_methods and the switches
// for tests under /sandbox. Only /v1 asks for a key: the rest is for the machine it runs on, so listen on loopback only. Requests for the rest
// are refused (403) when they name another host or come from a page of another origin.
func (s *Sandbox) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/payment_intents", s.post("create", createIntent))
	mux.HandleFunc("GET /v1/payment_intents/{id}", s.get("get", getIntent))
	mux.HandleFunc("POST /v1/payment_intents/{id}/confirm", s.post("confirm", confirmIntent))
	mux.HandleFunc("POST /v1/payment_intents/{id}/capture", s.post("capture", captureIntent))
	mux.HandleFunc("POST /v1/payment_intents/{id}/cancel", s.post("cancel", cancelIntent))
	mux.HandleFunc("POST /v1/refunds", s.post("refund", createRefund))
	mux.HandleFunc("GET /v1/refunds", s.get("list_refunds", listRefunds))
	mux.HandleFunc("GET /v1/payment_methods/{id}", s.get("method", getMethod))
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		refuse(http.StatusNotFound, "invalid_request_error", "", "Unrecognized request URL (%s: %s).", r.Method, r.URL.Path).write(w)
	})

	mux.HandleFunc("GET /healthz", s.serveHealth)
	mux.HandleFunc("GET /book", s.serveBook)
	mux.HandleFunc("GET /payment_methods", s.serveMethods)
	mux.HandleFunc("POST /sandbox/forget-keys", s.forgetKeys)
	mux.HandleFunc("POST /sandbox/holds", s.addHold)
	mux.HandleFunc("GET /sandbox/holds", s.listHolds)
	mux.HandleFunc("DELETE /sandbox/holds/{id}", s.releaseHold)
	mux.HandleFunc("PUT /sandbox/outage", s.setOutage)
	mux.HandleFunc("GET /sandbox/calls", s.listCalls)
	return s.guard(mux)
}
