package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"example.com/orderly/internal/sandbox"
)

// model is what the book must say, kept by rules much simpler than the sandbox's.
type model struct {
	t       *rapid.T
	handler http.Handler
	now     time.Time
	intents []*modelIntent
	sent    []modelRequest // under keys the sandbox still knows
	keys    int
}

type modelIntent struct {
	id, method, status                     string
	amount, authorized, captured, refunded int64
	charges                                int
	settles                                time.Time
}

type modelRequest struct {
	path, key string
	form      url.Values
	status    int
	body      string
}

var modelMethods = []string{
	"pm_card_visa", "pm_card_chargeDeclined", "pm_sandbox_processing", "pm_sandbox_processing_declined", "pm_card_authenticationRequired",
	"pm_sandbox_capture_refused", "pm_sandbox_hold_lapsed", "pm_sandbox_refund_refused",
}

func TestBookFollowsTheModel(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(root, "")
		require.NoError(rt, err)
		m := &model{t: rt, now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}
		s, err := sandbox.Open(t.Context(), sandbox.Config{Dir: dir, Now: func() time.Time { return m.now }, ProcessingFor: time.Minute})
		require.NoError(rt, err)
		defer func() { require.NoError(rt, s.Close()) }()
		m.handler = s.Handler()
		rt.Repeat(map[string]func(*rapid.T){
			"":        m.check,
			"create":  m.create,
			"confirm": m.confirm,
			"capture": m.capture,
			"cancel":  m.cancel,
			"refund":  m.refund,
			"replay":  m.replay,
			"wait":    m.wait,
			"forget":  m.forget,
		})
	})
}

// serve sends one request past the network.
func (m *model) serve(method, path, key string, form url.Values) (int, string) {
	req := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	req.Host = "localhost"
	req.Header.Set("Authorization", "Bearer "+testKey)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	m.handler.ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

func (m *model) post(path string, form url.Values, want int) string {
	m.keys++
	key := "k" + strconv.Itoa(m.keys)
	status, body := m.serve(http.MethodPost, path, key, form)
	require.Equal(m.t, want, status, body)
	m.sent = append(m.sent, modelRequest{path, key, form, status, body})
	return body
}

func (m *model) pick(t *rapid.T) *modelIntent {
	if len(m.intents) == 0 {
		t.Skip("no intent yet")
	}
	return rapid.SampledFrom(m.intents).Draw(t, "intent")
}

func (m *model) create(t *rapid.T) {
	i := &modelIntent{
		method: rapid.SampledFrom(modelMethods).Draw(t, "method"), amount: rapid.Int64Range(50, 10_000).Draw(t, "amount"),
		status: "requires_confirmation",
	}
	body := m.post("/v1/payment_intents", url.Values{
		"amount": {strconv.FormatInt(i.amount, 10)}, "currency": {"eur"}, "capture_method": {"manual"}, "payment_method": {i.method},
		"metadata[order_id]": {fmt.Sprint("o-", len(m.intents))},
	}, http.StatusOK)
	var answer struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	i.id = answer.ID
	m.intents = append(m.intents, i)
}

func (i *modelIntent) authorize() {
	i.status, i.authorized, i.charges = "requires_capture", i.amount, 1
}

func (m *model) confirm(t *rapid.T) {
	i := m.pick(t)
	want := http.StatusOK
	switch {
	case i.status != "requires_confirmation":
		want = http.StatusBadRequest
	case i.method == "pm_card_chargeDeclined":
		i.status, want = "requires_payment_method", http.StatusPaymentRequired
	case i.method == "pm_card_authenticationRequired":
		i.status = "requires_action"
	case strings.HasPrefix(i.method, "pm_sandbox_processing"):
		i.status, i.settles = "processing", m.now.Add(time.Minute)
	default:
		i.authorize()
	}
	m.post("/v1/payment_intents/"+i.id+"/confirm", url.Values{}, want)
}

func (m *model) capture(t *rapid.T) {
	i := m.pick(t)
	amount := rapid.Int64Range(1, 12_000).Draw(t, "amount")
	if rapid.Bool().Draw(t, "whole") {
		amount = i.amount
	}
	want := http.StatusBadRequest
	switch {
	case i.status != "requires_capture", amount > i.authorized, i.method == "pm_sandbox_capture_refused":
	case i.method == "pm_sandbox_hold_lapsed":
		i.status, i.authorized = "canceled", 0
	default:
		i.status, i.captured, i.authorized, want = "succeeded", amount, 0, http.StatusOK
	}
	m.post("/v1/payment_intents/"+i.id+"/capture", url.Values{"amount_to_capture": {strconv.FormatInt(amount, 10)}}, want)
}

func (m *model) cancel(t *rapid.T) {
	i := m.pick(t)
	want := http.StatusBadRequest
	if i.status != "processing" && i.status != "succeeded" && i.status != "canceled" {
		i.status, i.authorized, want = "canceled", 0, http.StatusOK
	}
	m.post("/v1/payment_intents/"+i.id+"/cancel", url.Values{}, want)
}

func (m *model) refund(t *rapid.T) {
	i := m.pick(t)
	amount := rapid.Int64Range(1, 12_000).Draw(t, "amount")
	want := http.StatusBadRequest
	if i.method != "pm_sandbox_refund_refused" && amount <= i.captured-i.refunded {
		i.refunded, want = i.refunded+amount, http.StatusOK
	}
	m.post("/v1/refunds", url.Values{"payment_intent": {i.id}, "amount": {strconv.FormatInt(amount, 10)}}, want)
}

// replay sends a request again. What was executed answers the same; what was refused before execution may be judged anew, but in
// this model it could only be refused again, unless it is a capture or a refund of a valid amount: those are left out.
func (m *model) replay(t *rapid.T) {
	if len(m.sent) == 0 {
		t.Skip("nothing sent yet")
	}
	r := rapid.SampledFrom(m.sent).Draw(t, "request")
	if r.status == http.StatusBadRequest && strings.Contains(r.body, "greater than") {
		t.Skip("not executed")
	}
	status, body := m.serve(http.MethodPost, r.path, r.key, r.form)
	require.Equal(t, r.status, status)
	require.Equal(t, r.body, body)
}

func (m *model) wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.Int64Range(1, 90).Draw(t, "seconds")) * time.Second)
	for _, i := range m.intents {
		if i.status != "processing" || m.now.Before(i.settles) {
			continue
		}
		if i.method == "pm_sandbox_processing_declined" {
			i.status = "requires_payment_method"
		} else {
			i.authorize()
		}
	}
}

func (m *model) forget(*rapid.T) {
	m.serve(http.MethodPost, "/sandbox/forget-keys", "", nil)
	m.sent = nil
}

// check compares the books, and the book with itself: its sums must hold also where the model is wrong.
func (m *model) check(t *rapid.T) {
	_, body := m.serve(http.MethodGet, "/book", "", nil)
	var book []sandbox.Charge
	require.NoError(t, json.Unmarshal([]byte(body), &book))
	require.Len(t, book, len(m.intents))
	for n, c := range book {
		i := m.intents[n]
		require.Equal(t, *i, modelIntent{
			id: c.PaymentIntent, method: c.PaymentMethod, status: c.Status, amount: c.AmountMinor, authorized: c.AuthorizedMinor,
			captured: c.CapturedMinor, refunded: c.RefundedMinor, charges: c.Charges, settles: i.settles,
		})
		require.LessOrEqual(t, c.AuthorizedMinor+c.CapturedMinor, c.AmountMinor*int64(c.Charges))
		require.LessOrEqual(t, c.RefundedMinor, c.CapturedMinor)
	}
}
