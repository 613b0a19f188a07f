package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"example.com/orderly/api"
	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/payments/stripe"
	"example.com/orderly/internal/sandbox"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/internal/users"
)

var update = flag.Bool("update", false, "write the golden files anew")

var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func now() time.Time { return today }

// world is the API with real services behind it. What a test changes before the first request is in effect.
type world struct {
	t      *testing.T
	cfg    api.Config
	server *httptest.Server
	// document is what the server's answers are held against.
	document func() document
	redis    *miniredis.Miniredis
	cache    *users.Cache
	orders   *database.DB
	stock    *database.DB
	people   *database.DB
	log      *lines
	metrics  *prometheus.Registry

	mu      sync.Mutex
	started []string
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func setup(t *testing.T, change ...func(w *world)) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{t: t, document: published, log: &lines{}, metrics: prometheus.NewRegistry(), redis: miniredis.RunT(t)}
	open := func(service string, sets []database.Migrations) (*database.DB, *outbox.Outbox) {
		db := testenv.SQLite(t, service, sets...)
		return db, outbox.New(db, service, now)
	}
	var ordersBox, stockBox, peopleBox *outbox.Outbox
	w.orders, ordersBox = open("orders", orders.Migrations())
	w.stock, stockBox = open("inventory", inventory.Migrations())
	w.people, peopleBox = open("users", users.Migrations())

	rdb, err := users.NewRedis("redis://" + w.redis.Addr())
	require.NoError(t, err)
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.cache = users.NewCache(rdb, users.New(peopleBox, now), users.CacheOptions{Log: log})
	t.Cleanup(func() { w.cache.Close(); _ = rdb.Close() })

	provider, err := sandbox.Open(ctx, sandbox.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	providerServer := httptest.NewServer(provider.Handler())
	t.Cleanup(func() { require.NoError(t, provider.Close()); providerServer.Close() })

	w.cfg = api.Config{
		Orders: orders.New(ordersBox, nil), Stock: inventory.New(stockBox), Users: w.cache,
		Timeline:    w.timeline,
		Mails:       func(context.Context, string) ([]notifications.Sent, error) { return nil, nil },
		CheckMethod: gateway(t, providerServer.URL).Method,
		StartSaga:   w.start,
		AwaitEnd:    func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() },
		Ready:       []api.Check{{Name: "orders", Ping: w.orders.Ping}, {Name: "users", Ping: w.people.Ping}},
		Degraded:    []api.Check{{Name: "redis", Ping: func(ctx context.Context) error { return rdb.Ping(ctx).Err() }}},
		Registerer:  w.metrics, Gatherer: w.metrics, Logger: log, Now: now,
	}
	for _, c := range change {
		c(w)
	}
	require.NoError(t, w.cfg.Orders.AddProducts(ctx, []orders.Product{
		{SKU: "MUG-EUR", Name: "Mug", PriceMinor: 1000, Currency: "EUR"},
		{SKU: "TEA-USD", Name: "Tea", PriceMinor: 450, Currency: "USD"},
		{SKU: "YACHT-EUR", Name: "Yacht", PriceMinor: 900_000_000_000_000, Currency: "EUR"},
	}))
	require.NoError(t, w.cfg.Stock.AddStock(ctx, []inventory.Quantity{{SKU: "MUG-EUR", Quantity: 7}, {SKU: "TEA-USD"}}))

	w.server = httptest.NewUnstartedServer(nil)
	door := api.NewDoor(log)
	door.PublicURL = w.cfg.PublicURL
	door.Open(api.New(w.cfg))
	w.server.Config = door.Server()
	w.server.Listener = door.Listener(w.server.Listener)
	w.server.Start()
	t.Cleanup(w.server.Close)
	return w
}

func gateway(t *testing.T, url string) *stripe.Gateway {
	t.Helper()
	g, err := stripe.New(stripe.Config{APIKey: "sk_test_orderly", URL: url})
	require.NoError(t, err)
	return g
}

func (w *world) start(_ context.Context, order orders.Order) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started = append(w.started, order.ID)
	return nil
}

func (w *world) sagas() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.started...)
}

// timeline reads what the orders service recorded, latest first: sorting is the API's work.
func (w *world) timeline(ctx context.Context, orderID string) ([]events.Event, error) {
	var bodies []string
	if err := w.orders.Select(ctx, &bodies, `SELECT body FROM outbox WHERE subject = ? ORDER BY sequence DESC`, orderID); err != nil {
		return nil, err
	}
	recorded := make([]events.Event, len(bodies))
	for i, body := range bodies {
		if err := json.Unmarshal([]byte(body), &recorded[i]); err != nil {
			return nil, err
		}
	}
	return recorded, nil
}

// complete does what a saga would to an order that goes well.
func (w *world) complete(ctx context.Context, orderID string) error {
	return errors.Join(
		w.cfg.Orders.Confirm(ctx, orders.Move{Key: orderID + ":confirm", OrderID: orderID}),
		w.cfg.Orders.Complete(ctx, orders.Move{Key: orderID + ":complete", OrderID: orderID}))
}

// token is a session of a customer who is made if missing.
func (w *world) token(name string) string {
	w.t.Helper()
	customer, err := w.cache.EnsureCustomer(w.t.Context(), name+"@example.com", name)
	require.NoError(w.t, err)
	token, _, err := w.cache.IssueSession(w.t.Context(), customer.ID)
	require.NoError(w.t, err)
	return token
}

type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

func (r reply) field(name string) string {
	var fields map[string]any
	if json.Unmarshal([]byte(r.body), &fields) != nil {
		return ""
	}
	text, _ := fields[name].(string)
	return text
}

// try sends a request; headers are "Name: value".
func (w *world) try(method, path, body string, headers ...string) reply {
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		return reply{err: err}
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("X-Request-ID", "request-1")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if value == "" {
			request.Header.Del(name)
			continue
		}
		request.Header[name] = append(request.Header[name], value)
		if name == "Content-Type" {
			request.Header[name] = []string{value}
		}
	}
	response, err := w.server.Client().Do(request)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = response.Body.Close() }()
	given, err := io.ReadAll(response.Body)
	r := reply{response.StatusCode, response.Header, string(given), err}
	w.checkDocument(method, path, r)
	return r
}

func (w *world) do(method, path, body string, headers ...string) reply {
	w.t.Helper()
	r := w.try(method, path, body, headers...)
	require.NoError(w.t, r.err)
	return r
}

const twoMugs = `{"lines":[{"sku":"MUG-EUR","quantity":2}],"payment_method":"pm_card_visa"}`

func (w *world) place(token, key, body string, headers ...string) reply {
	w.t.Helper()
	return w.do("POST", "/v1/orders", body, append([]string{"Authorization: Bearer " + token, "Idempotency-Key: " + key}, headers...)...)
}

// rows counts the rows of every table.
func rows(t *testing.T, db *database.DB) map[string]int {
	t.Helper()
	var tables []string
	require.NoError(t, db.Select(t.Context(), &tables, `SELECT name FROM sqlite_master WHERE type = 'table'`))
	require.Contains(t, tables, "outbox")
	counts := map[string]int{}
	for _, table := range tables {
		var count int
		require.NoError(t, db.Get(t.Context(), &count, `SELECT COUNT(*) FROM "`+table+`"`))
		counts[table] = count
	}
	return counts
}

var (
	anyID    = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	anyToken = regexp.MustCompile(`"token": "[^"]+"`)
)

// golden compares a response with the published one. Times come from a clock that stands still; ids are masked.
func golden(t *testing.T, name string, r reply) {
	t.Helper()
	var indented bytes.Buffer
	require.NoError(t, json.Indent(&indented, []byte(r.body), "", "  "), r.body)
	got := anyToken.ReplaceAllString(anyID.ReplaceAllString(indented.String(), "<id>"), `"token": "<token>"`)
	path := filepath.Join("testdata", name+".golden.json")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func requireProblem(t *testing.T, r reply, status int, code string) {
	t.Helper()
	require.Equal(t, status, r.status, r.body)
	require.Equal(t, code, r.field("code"), r.body)
	require.Equal(t, "application/problem+json", r.header.Get("Content-Type"))
	require.Equal(t, "request-1", r.field("request_id"))
	require.Equal(t, "/problems/"+code, r.field("type"))
	require.NotEmpty(t, r.field("detail"))
	if status == http.StatusUnauthorized {
		require.Contains(t, r.header.Get("WWW-Authenticate"), `Bearer realm="orderly"`)
	}
	if status == http.StatusServiceUnavailable {
		require.NotEmpty(t, r.header.Get("Retry-After"))
	}
}
