// Package reasons says what customers are told of why an order was rejected, cancelled or reversed. Events, rows and histories keep the code
// that decided; only the API and the mails, which customers read, ask here. A stolen card, a wrong security code and a decline without a
// cause read the same: an answer that tells them apart tells a person who tests stolen cards what to try next.
package reasons

import (
	"maps"
	"slices"
)

// The reasons that customers are told. They are part of the API's contract: one may be added, none is renamed.
const (
	OutOfStock           = "out_of_stock"
	UnknownSKU           = "unknown_sku"
	CancelRequested      = "cancel_requested"
	CancelledByOperator  = "cancelled_by_operator"
	PaymentDeclined      = "payment_declined"
	InsufficientFunds    = "insufficient_funds"
	AuthenticationFailed = "authentication_failed"
	ExpiredCard          = "expired_card"
	// Internal says that the fault is ours.
	Internal = "internal"
)

// told is the reason that customers are told for each code that may end an order. The codes of payment providers are an open set: those that
// are not here are PaymentDeclined.
var told = map[string]string{
	"out_of_stock":          OutOfStock,
	"unknown_sku":           UnknownSKU,
	"cancel_requested":      CancelRequested,
	"cancelled_by_operator": CancelledByOperator,

	// Declines that the customer can act on, by the codes of Stripe (https://docs.stripe.com/declines/codes and /error-codes).
	"insufficient_funds":                    InsufficientFunds,
	"expired_card":                          ExpiredCard,
	"authentication_failed":                 AuthenticationFailed,
	"authentication_required":               AuthenticationFailed,
	"authentication_not_handled":            AuthenticationFailed,
	"payment_intent_authentication_failure": AuthenticationFailed,

	// What our payments service makes of the provider's answers.
	"payment_declined":        PaymentDeclined,
	"capture_refused":         PaymentDeclined,
	"intent_canceled":         PaymentDeclined,
	"payment_method_required": PaymentDeclined,
	"unknown_payment_method":  PaymentDeclined,

	// Our services, or we and the provider, disagree. That is for operators.
	"already_captured": Internal, "already_reserved": Internal, "internal": Internal, "invalid_quantity": Internal, "no_lines": Internal,
	"not_authorized": Internal, "nothing_captured": Internal, "order_not_found": Internal, "order_state": Internal,
	"payment_captured": Internal, "payment_not_found": Internal, "payment_provider_misconfigured": Internal, "payment_state": Internal,
	"step_undone": Internal, "unknown_intent": Internal,
}

// Told is the code of an end as customers are told it; empty for an order that has no reason.
func Told(code string) string {
	if code == "" {
		return ""
	}
	if reason, known := told[code]; known {
		return reason
	}
	return PaymentDeclined
}

// All are the reasons that customers are told, sorted.
func All() []string {
	return slices.Compact(slices.Sorted(maps.Values(told)))
}
