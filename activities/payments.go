package activities

import (
	"context"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/internal/payments"
)

const (
	authorizePayment = "payments.authorize"
	voidPayment      = "payments.void"
	capturePayment   = "payments.capture"
	refundPayment    = "payments.refund"
)

// Payments runs the payments service's steps.
type Payments struct{ Service *payments.Service }

// Register makes the activities known to a worker.
func (a Payments) Register(r worker.ActivityRegistry) {
	register(r, authorizePayment, a.authorize)
	register(r, voidPayment, a.void)
	register(r, capturePayment, a.capture)
	register(r, refundPayment, a.refund)
}

func (a Payments) authorize(ctx context.Context, in payments.Authorization) error {
	return translate(a.Service.Authorize(ctx, in))
}

func (a Payments) void(ctx context.Context, in payments.Undo) error {
	return translate(a.Service.Void(ctx, in))
}

func (a Payments) capture(ctx context.Context, in payments.Capture) error {
	return translate(a.Service.Capture(ctx, in))
}

func (a Payments) refund(ctx context.Context, in payments.Undo) error {
	return translate(a.Service.Refund(ctx, in))
}

// Authorize holds the total on the customer's means of payment. Refusals: the provider's codes, such as card_declined.
func Authorize(ctx workflow.Context, in payments.Authorization) error {
	return call(ctx, authorizePayment, PaymentsQueue, in)
}

// Void frees what is held; it succeeds when nothing is.
func Void(ctx workflow.Context, in payments.Undo) error {
	return call(ctx, voidPayment, PaymentsQueue, in)
}

// CapturePayment charges what is held. Refusal: capture_refused, for good.
func CapturePayment(ctx workflow.Context, in payments.Capture) error {
	return call(ctx, capturePayment, PaymentsQueue, in)
}

// Refund gives back what was charged; it succeeds when nothing was.
func Refund(ctx workflow.Context, in payments.Undo) error {
	return call(ctx, refundPayment, PaymentsQueue, in)
}
