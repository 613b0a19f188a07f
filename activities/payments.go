package activities

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/internal/payments"
)

var (
	authorizePayment = declare[payments.Authorization](PaymentsQueue, "payments.authorize")
	voidPayment      = declare[payments.Undo](PaymentsQueue, "payments.void")
	capturePayment   = declare[payments.Capture](PaymentsQueue, "payments.capture")
	refundPayment    = declare[payments.Undo](PaymentsQueue, "payments.refund")
)

// RegisterPayments makes the payments service's steps known to a worker.
func RegisterPayments(r worker.ActivityRegistry, s *payments.Service) {
	authorizePayment.register(r, s.Authorize)
	voidPayment.register(r, s.Void)
	capturePayment.register(r, s.Capture)
	refundPayment.register(r, s.Refund)
}

// Authorize holds the total on the customer's means of payment. Refusals: the provider's codes, such as insufficient_funds.
func Authorize(ctx workflow.Context, in payments.Authorization) error {
	return authorizePayment.run(ctx, in)
}

// Void frees what is held; it succeeds when nothing is.
func Void(ctx workflow.Context, in payments.Undo) error { return voidPayment.run(ctx, in) }

// CapturePayment charges what is held. Refusal: capture_refused, for good.
func CapturePayment(ctx workflow.Context, in payments.Capture) error {
	return capturePayment.run(ctx, in)
}

// Refund gives back what was charged; it succeeds when nothing was.
func Refund(ctx workflow.Context, in payments.Undo) error { return refundPayment.run(ctx, in) }
