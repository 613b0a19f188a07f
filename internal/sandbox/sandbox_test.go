package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v85"

	"example.com/orderly/internal/sandbox"
)

const testKey = "sk_test_orderly"

// bundle is a sandbox behind real HTTP with a clock that can be moved.
type bundle struct {
	t     *testing.T
	url   string
	ahead atomic.Int64
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t}
	s, err := sandbox.Open(t.Context(), sandbox.Config{
		Dir: t.TempDir(), Now: func() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }, ProcessingFor: time.Hour,
	})
	require.NoError(t, err)
	b.url = serve(t, s)
	t.Cleanup(func() { require.NoError(t, s.Close()) }) // runs first: it lets go of what is held, for which the server waits
	return b
}

func serve(t *testing.T, s *sandbox.Sandbox) string {
	t.Helper()
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return server.URL
}

// reply is an answer of the sandbox; status 0 means that there was none.
type reply struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (r reply) id() string { return r.json["id"].(string) }
func (r reply) errorField(name string) any {
	return r.json["error"].(map[string]any)[name]
}

func (b *bundle) as(apiKey, method, path, key string, form ...string) reply {
	b.t.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Add(form[i], form[i+1])
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, io.NopCloser(strings.NewReader(values.Encode())))
	require.NoError(b.t, err)
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	r := reply{status: res.StatusCode, header: res.Header, body: string(body)}
	if strings.HasPrefix(r.body, "{") {
		require.NoError(b.t, json.Unmarshal(body, &r.json))
	}
	return r
}

func (b *bundle) post(path, key string, form ...string) reply {
	b.t.Helper()
	return b.as(testKey, http.MethodPost, path, key, form...)
}

func (b *bundle) get(path string) reply {
	b.t.Helper()
	return b.as(testKey, http.MethodGet, path, "")
}

func newIntent(orderID, method string, more ...string) []string {
	return append([]string{
		"amount", "3000", "currency", "eur", "capture_method", "manual", "payment_method", method, "metadata[order_id]", orderID,
	}, more...)
}

func (b *bundle) create(orderID, method string) string {
	b.t.Helper()
	r := b.post("/v1/payment_intents", "", newIntent(orderID, method)...)
	require.Equal(b.t, http.StatusOK, r.status, r.body)
	return "/v1/payment_intents/" + r.id()
}

func (b *bundle) book(orderID string) []sandbox.Charge {
	b.t.Helper()
	r := b.get("/book?order_id=" + url.QueryEscape(orderID))
	require.Equal(b.t, http.StatusOK, r.status)
	var book []sandbox.Charge
	require.NoError(b.t, json.Unmarshal([]byte(r.body), &book))
	return book
}

func TestRefusesToStartBesideALiveKey(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"sk_live_abc", "rk_live_abc"} {
		_, err := sandbox.Open(t.Context(), sandbox.Config{Dir: t.TempDir(), APIKey: key})
		require.ErrorIs(t, err, sandbox.ErrLiveKey)
	}
}

func TestOneProcessPerBook(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := sandbox.Open(t.Context(), sandbox.Config{Dir: dir})
	require.NoError(t, err)
	_, err = sandbox.Open(t.Context(), sandbox.Config{Dir: dir})
	require.ErrorContains(t, err, "sandbox.db")
	require.NoError(t, first.Close())
	second, err := sandbox.Open(t.Context(), sandbox.Config{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, second.Close())
}

// TestStripesClientWorksUnmodified uses stripe-go as anyone would, its own retries included: they find the lost answer.
func TestStripesClientWorksUnmodified(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client := stripe.NewClient(testKey, stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		URL: stripe.String(b.url), LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})))
	pi, err := client.V1PaymentIntents.Create(t.Context(), &stripe.PaymentIntentCreateParams{
		Amount: stripe.Int64(3000), Currency: stripe.String("eur"), CaptureMethod: stripe.String("manual"), Confirm: stripe.Bool(true),
		PaymentMethod: stripe.String("pm_sandbox_capture_answer_lost"), Metadata: map[string]string{"order_id": "o-1"},
	})
	require.NoError(t, err)
	require.Equal(t, stripe.PaymentIntentStatusRequiresCapture, pi.Status)
	pi, err = client.V1PaymentIntents.Capture(t.Context(), pi.ID, nil)
	require.NoError(t, err)
	require.Equal(t, stripe.PaymentIntentStatusSucceeded, pi.Status)
	refund, err := client.V1Refunds.Create(t.Context(), &stripe.RefundCreateParams{
		PaymentIntent: stripe.String(pi.ID), Amount: stripe.Int64(1000), Reason: stripe.String("requested_by_customer"),
	})
	require.NoError(t, err)
	require.Equal(t, stripe.RefundStatusSucceeded, refund.Status)
	listed := 0
	for r, err := range client.V1Refunds.List(t.Context(), &stripe.RefundListParams{PaymentIntent: stripe.String(pi.ID)}).All(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, refund.ID, r.ID)
		listed++
	}
	require.Equal(t, 1, listed)
	pi, err = client.V1PaymentIntents.Retrieve(t.Context(), pi.ID, &stripe.PaymentIntentRetrieveParams{
		Expand: stripe.StringSlice([]string{"latest_charge"}),
	})
	require.NoError(t, err)
	require.EqualValues(t, 1000, pi.LatestCharge.AmountRefunded)
	require.Equal(t, "normal", pi.LatestCharge.Outcome.RiskLevel)
	method, err := client.V1PaymentMethods.Retrieve(t.Context(), "pm_card_mastercard", nil)
	require.NoError(t, err)
	require.Equal(t, stripe.PaymentMethodCardBrandMastercard, method.Card.Brand)

	book := b.book("o-1")
	require.Len(t, book, 1)
	require.Equal(t, sandbox.Charge{
		PaymentIntent: pi.ID, OrderID: "o-1", Status: "succeeded", Currency: "EUR", PaymentMethod: "pm_sandbox_capture_answer_lost",
		AmountMinor: 3000, CapturedMinor: 3000, RefundedMinor: 1000, Charges: 1, CreatedAt: book[0].CreatedAt,
	}, book[0])
}

func TestErrorsHaveStripesShape(t *testing.T) {
	t.Parallel()
	b := setup(t)
	create := "/v1/payment_intents"
	const broke = "pm_card_chargeDeclinedInsufficientFunds"
	for name, tc := range map[string]struct {
		answer                  reply
		status                  int
		kind, code, declineCode string
	}{
		"wrong key":         {b.as("sk_live_1", http.MethodGet, "/v1/payment_intents/pi_1", ""), 401, "invalid_request_error", "", ""},
		"unknown intent":    {b.get("/v1/payment_intents/pi_1"), 404, "invalid_request_error", "resource_missing", ""},
		"unknown method":    {b.get("/v1/payment_methods/pm_1"), 404, "invalid_request_error", "resource_missing", ""},
		"unknown URL":       {b.get("/v1/customers"), 404, "invalid_request_error", "", ""},
		"no amount":         {b.post(create, "", "currency", "eur"), 400, "invalid_request_error", "parameter_missing", ""},
		"bad amount":        {b.post(create, "", "amount", "-5"), 400, "invalid_request_error", "parameter_invalid_integer", ""},
		"small amount":      {b.post(create, "", "amount", "49"), 400, "invalid_request_error", "amount_too_small", ""},
		"large amount":      {b.post(create, "", "amount", "100000000"), 400, "invalid_request_error", "amount_too_large", ""},
		"unknown parameter": {b.post(create, "", "amount", "50", "discount", "all"), 400, "invalid_request_error", "parameter_unknown", ""},
		"method not known":  {b.post(create, "", newIntent("o", "pm_1")...), 400, "invalid_request_error", "resource_missing", ""},
		"unexpected state": {
			b.post(b.create("o", "pm_card_visa")+"/capture", ""), 400, "invalid_request_error", "payment_intent_unexpected_state", "",
		},
		"declined": {b.post(b.create("o", broke)+"/confirm", ""), 402, "card_error", "card_declined", "insufficient_funds"},
		"expired": {
			b.post(create, "", newIntent("o", "pm_card_chargeDeclinedExpiredCard", "confirm", "true")...), 402, "card_error", "expired_card", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.status, tc.answer.status, tc.answer.body)
			require.Equal(t, tc.kind, tc.answer.errorField("type"))
			for field, want := range map[string]string{"code": tc.code, "decline_code": tc.declineCode} {
				if want != "" {
					require.Equal(t, want, tc.answer.errorField(field))
				}
			}
			if tc.status == 402 {
				require.Equal(t, "requires_payment_method", tc.answer.errorField("payment_intent").(map[string]any)["status"])
			}
		})
	}
}

func TestEveryMethodIsListedAndKnown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var listed []sandbox.Method
	require.NoError(t, json.Unmarshal([]byte(b.get("/payment_methods").body), &listed))
	require.Len(t, listed, len(sandbox.Methods()))
	seen := map[string]bool{}
	for _, m := range listed {
		require.NotEmpty(t, m.Description, m.Name)
		require.False(t, seen[m.Name], m.Name)
		seen[m.Name] = true
		require.Equal(t, http.StatusOK, b.get("/v1/payment_methods/"+m.Name).status, m.Name)
	}
}

func TestOutageHasNoEffect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := b.create("o-1", "pm_card_visa")
	require.NotEmpty(t, b.get(path).header.Get("Request-Id"))
	outage := func(mode string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, b.url+"/sandbox/outage", strings.NewReader(`{"mode":"`+mode+`"}`))
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode)
	}
	outage("unavailable")
	require.Equal(t, http.StatusServiceUnavailable, b.post(path+"/confirm", "k").status)
	outage("drop")
	require.Zero(t, b.post(path+"/confirm", "k").status)
	require.Zero(t, b.book("o-1")[0].Charges)
	outage("off")
	require.Equal(t, http.StatusOK, b.post(path+"/confirm", "k").status)
}
