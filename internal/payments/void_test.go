package payments_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/testenv"
)

// doubt makes an attempt whose call gets no answer, and none to the look-ups that follow. happens says whether the call reaches the
// provider.
func (o order) doubt(step attempt, call string, happens bool) {
	o.t.Helper()
	lost, none := false, func(string, string) error { return nil }
	lose := func(now, _ string) error {
		if now != call && (!lost || now != "get") {
			return nil
		}
		lost = true
		return &payments.UnknownOutcome{Call: now, Err: http.ErrHandlerTimeout}
	}
	gateway := tapped{Gateway: o.gateway, before: lose}
	if happens {
		gateway = tapped{Gateway: o.gateway, before: none, after: lose}
	}
	require.ErrorIs(o.t, step(context.Background(), o.serviceWith(gateway)), payments.ErrUnknownOutcome)
}

// refusing is the service of a provider that refuses refunds.
func (w *world) refusing() *payments.Service {
	return w.serviceWith(tapped{Gateway: w.gateway, before: func(call, _ string) error {
		if call == "refund" {
			return fault.New(fault.Conflict, "charge_disputed", "the charge is disputed")
		}
		return nil
	}})
}

// undoing is a payment before its undos, and what they make of it.
type undoing struct {
	name   string
	before func(o order)
	kept   bool     // of what was captured: a void alone is refused
	voided standing // after a void, where it is not refused
	undone standing // after a refund and a void
}

func undoings() []undoing {
	unannounced := isVoided
	unannounced.Captured, unannounced.Refunded = amount, amount
	byHand, afterwards := isCaptured, isRefunded
	byHand.Refunded = amount
	declined := isDeclined
	declined.State = payments.StateVoided
	return []undoing{
		{"none", func(order) {}, false, neverWas, neverWas},
		{"begun without an intent", func(o order) { o.doubt(o.authorize, "create", false) }, false, neverWas, neverWas},
		{"intent made", func(o order) { o.doubt(o.authorize, "confirm", false) }, false, neverWas, neverWas},
		{"hold in doubt", func(o order) { o.doubt(o.authorize, "confirm", true) }, false, neverWas, neverWas},
		{"declined", func(o order) {
			require.Equal(o.t, fault.Declined, fault.KindOf(o.insist(o.authorize, o.service)))
		}, false, declined, declined},
		{"authorized", func(o order) { o.must(o.authorize) }, false, isVoided, isVoided},
		{"capture in doubt that did not happen", func(o order) {
			o.must(o.authorize)
			o.doubt(o.capture, "capture", false)
		}, false, isVoided, isVoided},
		{"capture in doubt that happened", func(o order) {
			o.must(o.authorize)
			o.doubt(o.capture, "capture", true)
		}, true, standing{}, unannounced},
		{"captured", func(o order) { o.must(o.authorize, o.capture) }, true, standing{}, isRefunded},
		{"captured, refund under way", func(o order) {
			o.must(o.authorize, o.capture)
			require.Equal(o.t, "charge_disputed", fault.CodeOf(o.refund(context.Background(), o.refusing())))
		}, true, standing{}, isRefunded},
		{"refunded", func(o order) { o.must(o.authorize, o.capture, o.refund) }, false, isRefunded, isRefunded},
		{"refunded at the provider by hand", func(o order) {
			o.must(o.authorize, o.capture)
			_, err := o.gateway.Refund(context.Background(), "by-hand-"+o.id, o.row().IntentID, amount)
			require.NoError(o.t, err)
		}, false, byHand, afterwards},
		{"voided", func(o order) { o.must(o.authorize, o.void) }, false, isVoided, isVoided},
	}
}

// TestVoidNeverRefunds takes payments in every state through their undos, in every order and at once. What a void refuses it leaves as
// it was; a refund lets it succeed.
func TestVoidNeverRefunds(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		other := w.elsewhere()
		for _, u := range undoings() {
			method := "pm_card_visa"
			if u.name == "declined" {
				method = "pm_card_chargeDeclined"
			}
			begin := func(t *testing.T) order {
				o := w.in(t).order(method)
				u.before(o)
				return o
			}
			refused := func(o order) {
				o.t.Helper()
				before := o.row()
				err := o.insist(o.void, o.service)
				require.Equal(o.t, fault.Conflict, fault.KindOf(err), "%v", err)
				require.Equal(o.t, payments.CodeCaptured, fault.CodeOf(err))
				require.Equal(o.t, before, o.row())
				require.Zero(o.t, o.book()[0].RefundedMinor, "a void refunded")
			}

			t.Run(u.name+": void, refund, void", func(t *testing.T) {
				o := begin(t)
				if u.kept {
					refused(o)
					refused(o)
				} else {
					o.must(o.void)
					o.require(u.voided)
				}
				o.must(o.refund, o.void)
				o.require(u.undone)
			})
			t.Run(u.name+": refund, void, void", func(t *testing.T) {
				o := begin(t)
				o.must(o.refund, o.void, o.void)
				o.require(u.undone)
			})
			t.Run(u.name+": both at once, then refund, void", func(t *testing.T) {
				o := begin(t)
				voided, refunded := make(chan error, 1), make(chan error, 1)
				go func() { voided <- o.void(context.Background(), o.service) }()
				go func() { refunded <- o.refund(context.Background(), other) }()
				for _, err := range []error{<-voided, <-refunded} {
					require.True(t, err == nil || fault.CodeOf(err) == payments.CodeCaptured || fault.KindOf(err) == fault.Unavailable, "%v", err)
				}
				o.must(o.refund, o.void)
				o.require(u.undone)
			})
			if u.kept && u.name != "captured, refund under way" {
				t.Run(u.name+": a void that was refused keeps nothing from going on", func(t *testing.T) {
					o := begin(t)
					refused(o)
					o.must(o.authorize, o.capture)
					o.require(isCaptured)
				})
			}
		}
	})
}

// TestVoidMeetsACaptureItDidNotSee: the capture happens after the void has looked and left its mark.
func TestVoidMeetsACaptureItDidNotSee(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		o := w.order("pm_card_visa")
		w.must(o.authorize)
		capture := o.freeze("capture", "before", o.capture, w.service)
		void := o.freeze("cancel", "before", o.void, w.elsewhere())
		w.requireUndone(capture())
		require.Equal(t, payments.CodeCaptured, fault.CodeOf(void()))
		require.Zero(t, o.book()[0].RefundedMinor, "a void refunded")
		w.must(o.refund, o.void) // as the saga of the capture that was refused as undone does
		want := isVoided
		want.Captured, want.Refunded = amount, amount
		o.require(want)
	})
}
