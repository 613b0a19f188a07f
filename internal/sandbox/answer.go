package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// answer is a finished response. Only one that is kept is saved under the request's idempotency key: as at Stripe, that is every
// answer of a request that was executed, with any status, and none of a request that was refused before.
type answer struct {
	status     int
	body       []byte
	kept       bool
	replayed   bool
	retry      string // Stripe-Should-Retry
	retryAfter string
}

func ok(v any) answer { return answer{status: http.StatusOK, body: encode(v), kept: true} }

type problem struct {
	Type          string      `json:"type"`
	Code          string      `json:"code,omitempty"`
	DeclineCode   string      `json:"decline_code,omitempty"`
	Message       string      `json:"message"`
	Param         string      `json:"param,omitempty"`
	Charge        string      `json:"charge,omitempty"`
	PaymentIntent *intentJSON `json:"payment_intent,omitempty"`
}

func (p problem) answer(status int) answer {
	return answer{status: status, body: encode(map[string]problem{"error": p})}
}

// refuse answers a request that was not executed.
func refuse(status int, kind, code, message string, args ...any) answer {
	return problem{Type: kind, Code: code, Message: fmt.Sprintf(message, args...)}.answer(status)
}

func invalidParam(code, param, message string, args ...any) answer {
	return problem{Type: "invalid_request_error", Code: code, Param: param, Message: fmt.Sprintf(message, args...)}.answer(http.StatusBadRequest)
}

func missing(status int, what, param, id string) answer {
	return problem{
		Type: "invalid_request_error", Code: "resource_missing", Param: param, Message: fmt.Sprintf("No such %s: '%s'", what, id),
	}.answer(status)
}

// unexpectedState answers a request that the intent's status does not allow.
func unexpectedState(i *intent, verb string) answer {
	return rejected(i, "payment_intent_unexpected_state",
		fmt.Sprintf("You cannot %s this PaymentIntent because it has a status of %s.", verb, i.status))
}

// rejected answers a request that was executed and refused.
func rejected(i *intent, code, message string) answer {
	shown := showIntent(i, nil)
	a := problem{
		Type: "invalid_request_error", Code: code, Message: message, Charge: i.chargeID(), PaymentIntent: &shown,
	}.answer(http.StatusBadRequest)
	a.kept = true
	return a
}

func cardError(i *intent) answer {
	shown := showIntent(i, nil)
	a := problem{
		Type: "card_error", Code: i.errorCode, DeclineCode: i.declineCode, Message: i.errorMessage, PaymentIntent: &shown,
	}.answer(http.StatusPaymentRequired)
	a.kept = true
	return a
}

// brokenSide is Stripe's 500 of a request that had begun. It is kept, so Stripe asks not to repeat it under the same key.
func brokenSide() answer {
	a := refuse(http.StatusInternalServerError, "api_error", "", "An unknown error occurred.")
	a.kept, a.retry = true, "false"
	return a
}

func encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // only this package's own types get here
	}
	return body
}

func (a answer) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if a.replayed {
		h.Set("Idempotent-Replayed", "true")
	}
	if a.retry != "" {
		h.Set("Stripe-Should-Retry", a.retry)
	}
	if a.retryAfter != "" {
		h.Set("Retry-After", a.retryAfter)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that has gone away asks again
}

type intentJSON struct {
	ID                 string            `json:"id"`
	Object             string            `json:"object"`
	Amount             int64             `json:"amount"`
	AmountCapturable   int64             `json:"amount_capturable"`
	AmountReceived     int64             `json:"amount_received"`
	CanceledAt         *int64            `json:"canceled_at"`
	CancellationReason *string           `json:"cancellation_reason"`
	CaptureMethod      string            `json:"capture_method"`
	ClientSecret       string            `json:"client_secret"`
	ConfirmationMethod string            `json:"confirmation_method"`
	Created            int64             `json:"created"`
	Currency           string            `json:"currency"`
	LastPaymentError   *problem          `json:"last_payment_error"`
	LatestCharge       any               `json:"latest_charge"`
	Livemode           bool              `json:"livemode"`
	Metadata           map[string]string `json:"metadata"`
	NextAction         any               `json:"next_action"`
	PaymentMethod      *string           `json:"payment_method"`
	PaymentMethodTypes []string          `json:"payment_method_types"`
	Status             string            `json:"status"`
}

func showIntent(i *intent, expand map[string]bool) intentJSON {
	out := intentJSON{
		ID: i.id, Object: "payment_intent", Amount: i.amount, AmountCapturable: i.authorized, AmountReceived: i.captured,
		CaptureMethod: "manual", ClientSecret: i.id + "_secret_sandbox", ConfirmationMethod: "automatic", Created: i.createdAt.Unix(),
		Currency: i.currency, Metadata: i.metadata, PaymentMethodTypes: []string{"card"}, Status: i.status,
		CancellationReason: orNull(i.cancelReason),
	}
	if i.status != needsMethod {
		out.PaymentMethod = orNull(i.method)
	}
	if i.canceledAt > 0 {
		seconds := i.canceledAt / 1000
		out.CanceledAt = &seconds
	}
	if i.errorCode != "" {
		out.LastPaymentError = &problem{Type: "card_error", Code: i.errorCode, DeclineCode: i.declineCode, Message: i.errorMessage}
	}
	if i.status == needsAction {
		out.NextAction = map[string]any{"type": "use_stripe_sdk", "use_stripe_sdk": map[string]any{}}
	}
	if i.charges > 0 {
		out.LatestCharge = i.chargeID()
		if expand["latest_charge"] {
			out.LatestCharge = showCharge(i)
		}
	}
	return out
}

// showCharge counts what was authorised and never captured as refunded, as Stripe does when a hold is cancelled or partly captured.
func showCharge(i *intent) map[string]any {
	released := i.amount - i.authorized - i.captured
	return map[string]any{
		"id": i.chargeID(), "object": "charge", "amount": i.amount, "amount_captured": i.captured, "amount_refunded": i.refunded + released,
		"captured": i.captured > 0, "created": i.createdAt.Unix(), "currency": i.currency, "livemode": false, "metadata": i.metadata,
		"paid": true, "payment_intent": i.id, "payment_method": i.method, "refunded": i.refunded+released == i.amount, "status": "succeeded",
		"outcome": map[string]any{
			"network_status": "approved_by_network", "risk_level": methods[i.method].riskLevel(), "seller_message": "Payment complete.",
			"type": "authorized",
		},
	}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
