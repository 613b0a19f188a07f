package sandbox_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSameKeyReplaysTheAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, form := range map[string][]string{
		"yes":              newIntent("o-1", "pm_card_visa"),
		"decline":          newIntent("o-2", "pm_card_chargeDeclined", "confirm", "true"),
		"500 before":       newIntent("o-3", "pm_sandbox_create_error_before"),
		"500 after effect": newIntent("o-4", "pm_sandbox_create_error_after"),
	} {
		first := b.post("/v1/payment_intents", name, form...)
		require.Empty(t, first.header.Get("Idempotent-Replayed"))
		for range 2 {
			again := b.post("/v1/payment_intents", name, form...)
			require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
			require.Equal(t, first.status, again.status)
			require.Equal(t, first.body, again.body)
			require.Equal(t, first.header.Get("Stripe-Should-Retry"), again.header.Get("Stripe-Should-Retry"))
		}
	}
	require.Len(t, b.book("o-1"), 1)
	require.Len(t, b.book("o-2"), 1)
	require.Empty(t, b.book("o-3"), "before: no effect")
	require.Len(t, b.book("o-4"), 1, "after: one effect")
}

func TestKeyOfAnotherRequestIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusOK, b.post("/v1/payment_intents", "k", newIntent("o-1", "pm_card_visa")...).status)
	path := b.create("o-2", "pm_card_visa")
	for _, r := range []reply{
		b.post("/v1/payment_intents", "k", newIntent("o-1", "pm_card_mastercard")...),
		b.post(path+"/confirm", "k"),
	} {
		require.Equal(t, http.StatusBadRequest, r.status)
		require.Equal(t, "idempotency_error", r.errorField("type"))
	}
	require.Zero(t, b.book("o-2")[0].Charges)
}

func TestKeysBelongToAnAccount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mine := b.as("sk_test_a", http.MethodPost, "/v1/payment_intents", "k", newIntent("o-1", "pm_card_visa")...)
	theirs := b.as("sk_test_b", http.MethodPost, "/v1/payment_intents", "k", newIntent("o-1", "pm_card_visa")...)
	require.Equal(t, http.StatusOK, theirs.status)
	require.NotEqual(t, mine.id(), theirs.id())
	require.Equal(t, http.StatusNotFound, b.as("sk_test_b", http.MethodGet, "/v1/payment_intents/"+mine.id(), "").status)
}

func TestRefusedBeforeExecutionLeavesTheKeyFree(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusBadRequest, b.post("/v1/payment_intents", "k", "amount", "1").status)
	require.Equal(t, http.StatusOK, b.post("/v1/payment_intents", "k", newIntent("o-1", "pm_card_visa")...).status)
	path := b.create("o-2", "pm_sandbox_confirm_rate_limited")
	limited := b.post(path+"/confirm", "c")
	require.Equal(t, http.StatusTooManyRequests, limited.status)
	require.Equal(t, "1", limited.header.Get("Retry-After"))
	require.Zero(t, b.book("o-2")[0].Charges)
	require.Equal(t, http.StatusOK, b.post(path+"/confirm", "c").status)
}

func TestForgottenKeyCreatesASecondIntent(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(b *bundle){
		"on command":  func(b *bundle) { require.Equal(t, `{"forgotten":1}`, b.post("/sandbox/forget-keys", "").body) },
		"after a day": func(b *bundle) { b.ahead.Add(int64(24 * time.Hour)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			first := b.post("/v1/payment_intents", "k", newIntent("o-1", "pm_card_visa")...)
			forget(b)
			second := b.post("/v1/payment_intents", "k", newIntent("o-1", "pm_card_visa")...)
			require.NotEqual(t, first.id(), second.id())
			require.Empty(t, second.header.Get("Idempotent-Replayed"))
			require.Len(t, b.book("o-1"), 2)
		})
	}
}

func TestConcurrentRequestsWithOneKeyHaveOneEffect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const crowd = 24
	replies := make([]reply, crowd)
	var wg sync.WaitGroup
	for n := range crowd {
		wg.Go(func() {
			for {
				replies[n] = b.post("/v1/payment_intents", "k", newIntent("o-1", "pm_card_visa")...)
				if replies[n].status != http.StatusConflict {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, r := range replies {
		require.Equal(t, http.StatusOK, r.status)
		require.Equal(t, replies[0].id(), r.id())
	}
	require.Len(t, b.book("o-1"), 1)
}

func TestKeyInUseIsAConflict(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := b.create("o-1", "pm_card_visa")
	release := b.hold("confirm", "o-1", "during")
	first := make(chan reply, 1)
	go func() { first <- b.post(path+"/confirm", "k") }()
	b.awaitTaken()
	second := b.post(path+"/confirm", "k")
	require.Equal(t, http.StatusConflict, second.status)
	require.Equal(t, "true", second.header.Get("Stripe-Should-Retry"))
	require.Zero(t, b.book("o-1")[0].Charges)
	release()
	require.Equal(t, http.StatusOK, (<-first).status)
	require.Equal(t, "true", b.post(path+"/confirm", "k").header.Get("Idempotent-Replayed"))
	require.Equal(t, 1, b.book("o-1")[0].Charges)
}

func TestHeldAnswerHasTakenEffect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := b.create("o-1", "pm_card_visa")
	other := b.create("o-2", "pm_card_visa")
	release := b.hold("confirm", "o-1", "after")
	first := make(chan reply, 1)
	go func() { first <- b.post(path+"/confirm", "k") }()
	b.awaitTaken()
	require.Equal(t, 1, b.book("o-1")[0].Charges, "the money is held")
	require.Empty(t, first, "and the client has no answer")
	require.Equal(t, http.StatusOK, b.post(other+"/confirm", "").status, "other orders pass")
	require.Equal(t, http.StatusOK, b.post(path+"/confirm", "k").status, "a second attempt passes")
	release()
	require.Equal(t, http.StatusOK, (<-first).status)
}

func TestRequestGivenUpByItsSenderArrivesLater(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := b.create("o-1", "pm_card_visa")
	release := b.hold("confirm", "o-1", "before")
	first := make(chan reply, 1)
	go func() { first <- b.post(path+"/confirm", "k") }()
	b.awaitTaken()
	require.Equal(t, http.StatusOK, b.post(path+"/cancel", "v").status)
	release()
	late := <-first
	require.Equal(t, "payment_intent_unexpected_state", late.errorField("code"))
	require.Zero(t, b.book("o-1")[0].Charges)
}

func (b *bundle) hold(call, orderID, when string) (release func()) {
	b.t.Helper()
	res, err := http.Post(b.url+"/sandbox/holds", "application/json",
		strings.NewReader(`{"call":"`+call+`","order_id":"`+orderID+`","when":"`+when+`"}`))
	require.NoError(b.t, err)
	require.NoError(b.t, res.Body.Close())
	require.Equal(b.t, http.StatusCreated, res.StatusCode)
	list := b.get("/sandbox/holds").body
	id := list[strings.Index(list, "hold_"):]
	id = id[:strings.Index(id, `"`)]
	return func() {
		require.Equal(b.t, http.StatusNoContent, b.as("", http.MethodDelete, "/sandbox/holds/"+id, "").status)
	}
}

func (b *bundle) awaitTaken() {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		return strings.Contains(b.get("/sandbox/holds").body, `"taken":true`)
	}, 10*time.Second, 5*time.Millisecond)
}
