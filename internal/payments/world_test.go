package payments_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/payments/gatewaytest"
	"example.com/orderly/internal/payments/stripe"
	"example.com/orderly/internal/sandbox"
	"example.com/orderly/internal/testenv"
)

const amount = 3000

// world is a payments service between a database and a provider. Both are real, so attempts run in it as in production.
type world struct {
	t        *testing.T
	provider gatewaytest.Sandbox
	gateway  payments.Gateway
	db       *database.DB
	service  *payments.Service
	ahead    *atomic.Int64 // of the provider's clock
	orders   *atomic.Int64
}

func newWorld(t *testing.T, open testenv.Open) *world {
	t.Helper()
	w := &world{t: t, db: open("payments", payments.Migrations()...), ahead: new(atomic.Int64), orders: new(atomic.Int64)}
	w.provider = gatewaytest.NewSandbox(t, sandbox.Config{
		Now:           func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
		ProcessingFor: time.Hour, SlowAnswer: time.Minute,
	})
	w.gateway = newGateway(t, stripe.Config{APIKey: "sk_test_orderly", URL: w.provider.URL, Timeout: time.Minute})
	w.service = w.serviceWith(w.gateway)
	return w
}

func (w *world) serviceWith(gateway payments.Gateway) *payments.Service {
	return payments.New(outbox.New(w.db, "payments", time.Now), gateway)
}

// in is the same world, for a sub-test to fail by itself.
func (w *world) in(t *testing.T) *world {
	sub := *w
	sub.t = t
	return &sub
}

// elsewhere is the service in another process: other connections to the same database and to the provider.
func (w *world) elsewhere() *payments.Service {
	w.t.Helper()
	var at string
	if w.db.Engine() == database.SQLite {
		require.NoError(w.t, w.db.Get(w.t.Context(), &at, `SELECT file FROM pragma_database_list WHERE name = 'main'`))
		at = "sqlite:" + at
	} else {
		server, err := url.Parse(os.Getenv("DATABASE_URL"))
		require.NoError(w.t, err)
		require.NoError(w.t, w.db.Get(w.t.Context(), &server.Path, `SELECT current_database()`))
		at = server.String()
	}
	db, err := database.Open(w.t.Context(), "payments", at)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, db.Close()) })
	gateway := newGateway(w.t, stripe.Config{APIKey: "sk_test_orderly", URL: w.provider.URL, Timeout: time.Minute})
	return payments.New(outbox.New(db, "payments", time.Now), gateway)
}

func (w *world) forgetKeys() {
	w.t.Helper()
	w.provider.Send(w.t, http.MethodPost, "/sandbox/forget-keys", "", nil)
}

func newGateway(t *testing.T, cfg stripe.Config) payments.Gateway {
	t.Helper()
	g, err := stripe.New(cfg)
	require.NoError(t, err)
	return g
}

// order is an order to be paid, with the keys its saga would make.
type order struct {
	*world
	id, method string
}

func (w *world) order(method string) order {
	return order{world: w, id: fmt.Sprintf("o-%d", w.orders.Add(1)), method: method}
}

// attempt is one attempt of a step of the order's saga on some service.
type attempt func(ctx context.Context, s *payments.Service) error

func (o order) authorize(ctx context.Context, s *payments.Service) error {
	return s.Authorize(ctx, payments.Authorization{
		Key: o.id + ":authorize", OrderID: o.id, AmountMinor: amount, Currency: "EUR", PaymentMethod: o.method,
	})
}

func (o order) capture(ctx context.Context, s *payments.Service) error {
	return s.Capture(ctx, payments.Capture{Key: o.id + ":capture", OrderID: o.id})
}

func (o order) refund(ctx context.Context, s *payments.Service) error {
	return s.Refund(ctx, payments.Undo{Key: o.id + ":refund", Undoes: o.id + ":capture", OrderID: o.id, Reason: firstCause})
}

func (o order) void(ctx context.Context, s *payments.Service) error {
	return s.Void(ctx, payments.Undo{Key: o.id + ":void", Undoes: o.id + ":authorize", OrderID: o.id, Reason: firstCause})
}

// firstCause is what the sagas of these tests give up for.
const firstCause = "gave_up"

// insist repeats a step as the saga does, until it has an outcome.
func (w *world) insist(step attempt, on *payments.Service) error {
	w.t.Helper()
	var err error
	decided := func() bool {
		err = step(context.WithoutCancel(w.t.Context()), on)
		return err == nil || fault.KindOf(err) != fault.Unavailable
	}
	if !decided() {
		last := err
		require.Eventually(w.t, decided, 10*time.Second, 2*time.Millisecond, "the step never gets an outcome: %v", last)
	}
	require.True(w.t, err == nil || fault.Final(err), "%v", err)
	return err
}

// must is insist on a yes.
func (w *world) must(steps ...attempt) {
	w.t.Helper()
	for i, step := range steps {
		require.NoError(w.t, w.insist(step, w.service), "step %d", i)
	}
}

func (w *world) requireUndone(err error) {
	w.t.Helper()
	require.Equal(w.t, "step_undone", fault.CodeOf(err), "%v", err)
	require.Equal(w.t, fault.Conflict, fault.KindOf(err))
	refused, _ := fault.As(err)
	require.Equal(w.t, firstCause, refused.FirstCause)
}

// standing is how an order's payment stands: our state, the provider's book, and what was announced.
type standing struct {
	State                    payments.State
	Held, Captured, Refunded int64
	Events                   []string
}

// The standings a payment comes to. Undone ones say what was announced before.
var (
	isAuthorized = standing{payments.StateAuthorized, amount, 0, 0, []string{authorizedEvent}}
	isCaptured   = standing{payments.StateCaptured, 0, amount, 0, []string{authorizedEvent, capturedEvent}}
	isRefunded   = standing{payments.StateRefunded, 0, amount, amount, []string{authorizedEvent, capturedEvent, refundedEvent}}
	isVoided     = standing{payments.StateVoided, 0, 0, 0, []string{authorizedEvent, voidedEvent}}
	isDeclined   = standing{payments.StateStarted, 0, 0, 0, []string{declinedEvent}}
	neverWas     = standing{payments.StateVoided, 0, 0, 0, []string{}}
)

const (
	authorizedEvent = "payment.authorized.v1"
	declinedEvent   = "payment.declined.v1"
	capturedEvent   = "payment.captured.v1"
	voidedEvent     = "payment.voided.v1"
	refundedEvent   = "payment.refunded.v1"
)

type row struct {
	State    payments.State `db:"state"`
	GivenUp  bool           `db:"given_up"`
	IntentID string         `db:"intent_id"`
	Captured int64          `db:"captured_minor"`
	Refunded int64          `db:"refunded_minor"`
}

func (o order) row() row {
	o.t.Helper()
	var r row
	require.NoError(o.t, o.db.Get(context.Background(), &r, `
		SELECT state, given_up, intent_id, captured_minor, refunded_minor FROM payments WHERE order_id = ?`, o.id))
	return r
}

func (o order) book() []sandbox.Charge {
	o.t.Helper()
	var book []sandbox.Charge
	o.provider.Send(o.t, http.MethodGet, "/book?order_id="+o.id, "", &book)
	return book
}

func (o order) calls() map[string]int {
	o.t.Helper()
	var calls map[string]map[string]int
	o.provider.Send(o.t, http.MethodGet, "/sandbox/calls?order_id="+o.id, "", &calls)
	return calls[o.id]
}

func (o order) events() []string {
	o.t.Helper()
	types := []string{}
	require.NoError(o.t, o.db.Select(context.Background(), &types, `SELECT event_type FROM outbox WHERE subject = ? ORDER BY sequence`, o.id))
	return types
}

// standing reads it, and fails if the two books contradict each other or money was held or taken twice.
func (o order) standing(t require.TestingT) standing {
	r := o.row()
	s := standing{State: r.State, Events: o.events()}
	charges := 0
	for _, c := range o.book() {
		charges += c.Charges
		if c.Charges > 0 {
			require.Equal(t, r.IntentID, c.PaymentIntent, "the intent that was charged is not the one in our book")
		}
		s.Held += c.AuthorizedMinor
		s.Captured += c.CapturedMinor
		s.Refunded += c.RefundedMinor
	}
	require.LessOrEqual(t, charges, 1, "more than one successful authorisation")
	require.Equal(t, s.Captured, r.Captured, "captured: the provider's book and ours")
	require.Equal(t, s.Refunded, r.Refunded, "refunded: the provider's book and ours")
	return s
}

func (o order) require(want standing) {
	o.t.Helper()
	require.Equal(o.t, want, o.standing(o.t), "order %s paid with %s", o.id, o.method)
}

// freeze starts an attempt and returns once the provider holds a call of it back; thaw lets that call go on and returns the
// attempt's outcome.
func (o order) freeze(call, when string, step attempt, on *payments.Service) (thaw func() error) {
	o.t.Helper()
	id, taken := o.provider.Hold(o.t, gatewaytest.Call(call), o.id, when)
	done := make(chan error, 1)
	go func() { done <- step(context.WithoutCancel(o.t.Context()), on) }()
	require.Eventually(o.t, taken, 10*time.Second, 2*time.Millisecond, "the attempt never makes the call")
	return func() error {
		o.t.Helper()
		o.provider.Send(o.t, http.MethodDelete, "/sandbox/holds/"+id, "", nil)
		return <-done
	}
}
