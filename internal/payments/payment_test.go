package payments_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/testenv"
)

func TestPayment(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		ctx := t.Context()

		t.Run("an authorised amount is held, captured, refunded", func(t *testing.T) {
			w := w.in(t)
			o := w.order("pm_card_visa")
			require.NoError(t, o.authorize(ctx, w.service))
			o.require(isAuthorized)
			require.NoError(t, o.capture(ctx, w.service))
			o.require(isCaptured)
			require.NoError(t, o.refund(ctx, w.service))
			o.require(isRefunded)
			require.NoError(t, o.void(ctx, w.service))
			o.require(isRefunded)
			require.Equal(t, map[string]int{"create": 1, "confirm": 1, "capture": 1, "refund": 1}, without(o.calls(), "get"))
		})

		t.Run("a void lets go of the hold", func(t *testing.T) {
			w := w.in(t)
			o := w.order("pm_card_visa")
			w.must(o.authorize, o.void)
			o.require(isVoided)
			w.requireUndone(o.authorize(ctx, w.service))
			w.requireUndone(o.capture(ctx, w.service))
			o.require(isVoided)
		})

		t.Run("a second run answers from the record and makes no call", func(t *testing.T) {
			w := w.in(t)
			for _, steps := range [][]func(order) attempt{
				{order.authorizing}, {order.authorizing, order.capturing}, {order.authorizing, order.capturing, order.refunding},
				{order.authorizing, order.voiding}, {order.voiding}, {order.refunding},
			} {
				o := w.order("pm_card_visa")
				for _, step := range steps {
					require.NoError(t, step(o)(ctx, w.service))
				}
				before, calls := o.standing(t), o.calls()
				require.NoError(t, steps[len(steps)-1](o)(ctx, w.elsewhere()))
				require.Equal(t, calls, o.calls(), "the provider was called")
				o.require(before)
			}
		})

		t.Run("a decline is recorded with the provider's reason", func(t *testing.T) {
			w := w.in(t)
			for method, reason := range map[string]string{
				"pm_card_visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
				"pm_card_chargeDeclinedExpiredCard":            "expired_card",
				"pm_card_nobody_has":                           payments.CodeUnknownMethod,
				"4242424242424242":                             payments.CodeUnknownMethod,
				"pm_card_authenticationRequired":               "authentication_required",
			} {
				o := w.order(method)
				err := o.authorize(ctx, w.service)
				require.Equal(t, fault.Declined, fault.KindOf(err), "%v", err)
				require.Equal(t, reason, fault.CodeOf(err))
				o.require(isDeclined)
				calls := o.calls()
				again := o.authorize(ctx, w.service)
				require.Equal(t, fault.Declined, fault.KindOf(again), "%v", again)
				require.Equal(t, reason, fault.CodeOf(again))
				require.Equal(t, calls, o.calls(), "the provider was called")
				err = o.capture(ctx, w.service)
				require.Equal(t, "payment_state", fault.CodeOf(err), "%v", err)
				require.Equal(t, fault.Conflict, fault.KindOf(err), "%v", err)
				w.must(o.void)
				o.require(standing{State: payments.StateVoided, Events: []string{declinedEvent}})
				require.Equal(t, fault.Declined, fault.KindOf(o.authorize(ctx, w.service)), "a no stays a no")
			}
		})

		t.Run("a payment whose customer should act is left with nothing open", func(t *testing.T) {
			w := w.in(t)
			o := w.order("pm_card_authenticationRequired")
			require.Error(t, o.authorize(ctx, w.service))
			require.Equal(t, "canceled", o.book()[0].Status)
		})

		t.Run("a capture refused for good is recorded and undone as a void", func(t *testing.T) {
			w := w.in(t)
			for _, method := range []string{"pm_sandbox_capture_refused", "pm_sandbox_hold_lapsed"} {
				o := w.order(method)
				w.must(o.authorize)
				for range 2 {
					err := o.capture(ctx, w.service)
					require.Equal(t, fault.Declined, fault.KindOf(err), "%v", err)
					require.Equal(t, payments.CodeCaptureRefused, fault.CodeOf(err))
				}
				require.Equal(t, 1, o.calls()["capture"], "the second run asked the provider again")
				w.must(o.refund, o.void)
				o.require(isVoided)
			}
		})

		t.Run("a refund refused for good is an error, and not a record", func(t *testing.T) {
			w := w.in(t)
			o := w.order("pm_sandbox_refund_refused")
			w.must(o.authorize, o.capture)
			for range 2 {
				err := o.refund(ctx, w.service)
				require.Equal(t, fault.Conflict, fault.KindOf(err), "%v", err)
				require.Equal(t, "charge_disputed", fault.CodeOf(err))
			}
			o.require(isCaptured)
		})

		t.Run("an undo that was refused once is asked for anew, and not for the provider's saved refusal", func(t *testing.T) {
			w := w.in(t)
			for method, undo := range map[string]func(o order) (attempt, []attempt, standing){
				"pm_sandbox_cancel_refused_once": func(o order) (attempt, []attempt, standing) { return o.void, []attempt{o.authorize}, isVoided },
				"pm_sandbox_refund_refused_once": func(o order) (attempt, []attempt, standing) {
					return o.refund, []attempt{o.authorize, o.capture}, isRefunded
				},
			} {
				o := w.order(method)
				undo, before, want := undo(o)
				w.must(before...)
				err := undo(ctx, w.service)
				require.Equal(t, fault.Conflict, fault.KindOf(err), "%v", err)
				require.Equal(t, "charge_disputed", fault.CodeOf(err))
				require.NoError(t, undo(ctx, w.service))
				o.require(want)
			}
		})

		t.Run("another step's key neither holds nor takes a second time", func(t *testing.T) {
			w := w.in(t)
			o := w.order("pm_card_visa")
			other := payments.Authorization{Key: "other", OrderID: o.id, AmountMinor: 2 * amount, Currency: "EUR", PaymentMethod: o.method}
			for _, step := range []attempt{o.authorize, o.capture} {
				require.NoError(t, step(ctx, w.service))
				before := o.standing(t)
				err := w.service.Authorize(ctx, other)
				require.Equal(t, "payment_state", fault.CodeOf(err), "%v", err)
				require.Equal(t, fault.Conflict, fault.KindOf(err))
				o.require(before)
			}
			err := w.service.Capture(ctx, payments.Capture{Key: "other", OrderID: o.id})
			require.Equal(t, "payment_state", fault.CodeOf(err), "%v", err)
			o.require(isCaptured)
		})

		t.Run("there is no capture without an authorisation", func(t *testing.T) {
			w := w.in(t)
			o := w.order("pm_card_visa")
			require.Equal(t, fault.NotFound, fault.KindOf(o.capture(ctx, w.service)))
		})

		t.Run("an undo of nothing succeeds and keeps the step from ever happening", func(t *testing.T) {
			w := w.in(t)
			for _, undos := range [][]func(order) attempt{{order.voiding}, {order.refunding, order.voiding}} {
				o := w.order("pm_card_visa")
				for _, undo := range undos {
					w.must(undo(o))
				}
				w.requireUndone(o.authorize(ctx, w.service))
				w.requireUndone(w.insist(o.authorize, w.elsewhere()))
				o.require(neverWas)
				require.Empty(t, o.calls())
			}
		})

		t.Run("events carry the amount", func(t *testing.T) {
			w := w.in(t)
			o := w.order("pm_card_visa")
			w.must(o.authorize, o.capture, o.refund)
			var bodies []string
			require.NoError(t, w.db.Select(ctx, &bodies, `SELECT body FROM outbox WHERE subject = ?`, o.id))
			require.Len(t, bodies, 3)
			for _, body := range bodies {
				var event struct {
					Data map[string]any `json:"data"`
				}
				require.NoError(t, json.Unmarshal([]byte(body), &event))
				require.Equal(t, map[string]any{"order_id": o.id, "amount_minor": float64(amount), "currency": "EUR"}, event.Data)
			}
		})
	})
}

func (o order) authorizing() attempt { return o.authorize }
func (o order) capturing() attempt   { return o.capture }
func (o order) refunding() attempt   { return o.refund }
func (o order) voiding() attempt     { return o.void }

func without(calls map[string]int, call string) map[string]int {
	delete(calls, call)
	return calls
}

// TestManyAttemptsAtOnce: some may be told to ask again, none anything else, and there is one effect.
func TestManyAttemptsAtOnce(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		services := []*payments.Service{w.service, w.elsewhere()}
		atOnce := func(o order, step attempt, want standing) {
			start := make(chan struct{})
			outcomes := make(chan error, 100)
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					<-start
					for range 5 { // an attempt that begins while another one commits
						outcomes <- step(context.WithoutCancel(t.Context()), services[i%2])
					}
				})
			}
			close(start)
			all.Wait()
			close(outcomes)
			for err := range outcomes {
				if err != nil {
					require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
				}
			}
			w.must(step)
			o.require(want)
			require.Len(t, o.book(), 1, "intents")
		}
		for i := range 8 { // that an attempt begins just as another one commits takes a few orders to happen
			o := w.order("pm_card_visa")
			w.must(o.authorize)
			atOnce(o, o.capture, isCaptured)
			if i > 1 {
				continue
			}
			atOnce(o, o.refund, isRefunded)
			o = w.order("pm_card_visa")
			atOnce(o, o.authorize, isAuthorized)
			atOnce(o, o.void, isVoided)
		}
	})
}
