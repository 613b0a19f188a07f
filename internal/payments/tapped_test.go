package payments_test

import (
	"context"

	"example.com/orderly/internal/payments"
)

// tapped is a gateway with a hook on both sides of each call; an error of a hook takes the place of the answer.
type tapped struct {
	payments.Gateway
	before, after func(call, key string) error
}

func (g tapped) around(call, key string, do func() (payments.Intent, error)) (payments.Intent, error) {
	if err := g.before(call, key); err != nil {
		return payments.Intent{}, err
	}
	i, err := do()
	if g.after != nil {
		if lost := g.after(call, key); lost != nil {
			return payments.Intent{}, lost
		}
	}
	return i, err
}

func (g tapped) Create(ctx context.Context, key string, in payments.NewIntent) (payments.Intent, error) {
	return g.around("create", key, func() (payments.Intent, error) { return g.Gateway.Create(ctx, key, in) })
}

func (g tapped) Confirm(ctx context.Context, key, id string) (payments.Intent, error) {
	return g.around("confirm", key, func() (payments.Intent, error) { return g.Gateway.Confirm(ctx, key, id) })
}

func (g tapped) Get(ctx context.Context, id string) (payments.Intent, error) {
	return g.around("get", "", func() (payments.Intent, error) { return g.Gateway.Get(ctx, id) })
}

func (g tapped) Capture(ctx context.Context, key, id string) (payments.Intent, error) {
	return g.around("capture", key, func() (payments.Intent, error) { return g.Gateway.Capture(ctx, key, id) })
}

func (g tapped) Void(ctx context.Context, key, id string) (payments.Intent, error) {
	return g.around("cancel", key, func() (payments.Intent, error) { return g.Gateway.Void(ctx, key, id) })
}

func (g tapped) Refund(ctx context.Context, key, id string, minor int64) (payments.Intent, error) {
	return g.around("refund", key, func() (payments.Intent, error) { return g.Gateway.Refund(ctx, key, id, minor) })
}
