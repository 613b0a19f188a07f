package payments_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/testenv"
)

// TestOutcomeIsNotRecordedOnceAnUndoHasBegun freezes the undo between its mark and its record, and thaws the attempt first.
func TestOutcomeIsNotRecordedOnceAnUndoHasBegun(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		other := w.elsewhere()
		for _, at := range [][2]string{{"confirm", "before"}, {"confirm", "after"}} {
			o := w.order("pm_card_visa")
			attempt := o.freeze(at[0], at[1], o.authorize, w.service)
			undo := o.freeze("get", "after", o.void, other)
			w.requireUndone(o.authorize(t.Context(), other))
			require.Equal(t, 1, o.calls()["confirm"], "an attempt that began after the undo asked for the hold")
			w.requireUndone(attempt())
			require.Empty(t, o.events())
			require.NoError(t, undo())
			o.require(neverWas)
		}
		for _, at := range [][2]string{{"capture", "before"}, {"capture", "after"}} {
			o := w.order("pm_card_visa")
			w.must(o.authorize)
			attempt := o.freeze(at[0], at[1], o.capture, w.service)
			undo := o.freeze("get", "after", o.refund, other)
			w.requireUndone(attempt())
			require.Equal(t, []string{authorizedEvent}, o.events())
			require.NoError(t, undo(), "the payment moved after the undo looked, and the undo looks again")
			w.must(o.void)
			got := o.standing(t)
			require.Equal(t, got.Captured, got.Refunded)
			got.Captured, got.Refunded = 0, 0
			require.Equal(t, isVoided, got)
		}

		o := w.order("pm_card_visa")
		w.must(o.authorize)
		undo := o.freeze("get", "after", o.refund, other)
		w.requireUndone(o.capture(t.Context(), w.service))
		require.Zero(t, o.calls()["capture"], "money was taken that is being given up")
		require.NoError(t, undo())
		w.must(o.void)
		o.require(isVoided)
	})
}

func TestLateCapture(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		other := w.elsewhere()
		ctx := t.Context()
		for _, when := range []string{"before", "during", "after"} {
			freeze := func(w *world) (order, func() error) {
				o := w.order("pm_card_visa")
				w.must(o.authorize)
				return o, o.freeze("capture", when, o.capture, w.service)
			}

			t.Run(when+": after the refund nothing is taken and nothing held", func(t *testing.T) {
				w := w.in(t)
				o, thaw := freeze(w)
				require.NoError(t, w.insist(o.refund, other))
				require.NoError(t, w.insist(o.void, other))
				want := isVoided
				if when == "after" {
					want.Captured, want.Refunded = amount, amount // it had been taken, which was not recorded
				}
				o.require(want)
				w.requireUndone(thaw())
				o.require(want)
				w.requireUndone(o.capture(ctx, w.service))
				w.must(o.refund, o.void)
				o.require(want)
			})

			t.Run(when+": a void alone lets go of the hold, and refunds nothing", func(t *testing.T) {
				w := w.in(t)
				o, thaw := freeze(w)
				if when == "after" {
					require.Equal(t, payments.CodeCaptured, fault.CodeOf(w.insist(o.void, other)))
					require.NoError(t, thaw(), "a void that was refused keeps the capture from being recorded")
					o.require(isCaptured)
					return
				}
				require.NoError(t, w.insist(o.void, other))
				late := thaw()
				require.Equal(t, fault.Conflict, fault.KindOf(late), "%v", late)
				o.require(isVoided)
			})

			if when == "during" {
				continue // no second attempt gets through
			}
			t.Run(when+": a second attempt captures and the late one agrees", func(t *testing.T) {
				w := w.in(t)
				o, thaw := freeze(w)
				require.NoError(t, o.capture(ctx, other))
				o.require(isCaptured)
				o2, thaw2 := freeze(w)
				require.NoError(t, o2.capture(ctx, other))
				require.NoError(t, o2.refund(ctx, other))
				o2.require(isRefunded)
				require.NoError(t, thaw())
				o.require(isCaptured)
				w.requireUndone(thaw2())
				o2.require(isRefunded)
			})
		}
	})
}

// TestLateUndo freezes an undo at each of its calls, lets a second attempt of it go by, and thaws it.
func TestLateUndo(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		other := w.elsewhere()
		for _, when := range []string{"before", "after"} {
			o := w.order("pm_card_visa")
			w.must(o.authorize)
			thaw := o.freeze("cancel", when, o.void, w.service)
			require.NoError(t, w.insist(o.void, other))
			o.require(isVoided)
			require.NoError(t, thaw())
			o.require(isVoided)

			for _, forget := range []bool{false, true} {
				o = w.order("pm_card_visa")
				w.must(o.authorize, o.capture)
				thaw = o.freeze("refund", when, o.refund, w.service)
				if forget {
					w.forgetKeys()
				}
				require.NoError(t, w.insist(o.refund, other))
				o.require(isRefunded)
				require.NoError(t, thaw())
				o.require(isRefunded)
			}
		}
	})
}
