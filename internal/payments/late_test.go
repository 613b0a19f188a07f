package payments_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/payments/gatewaytest"
	"example.com/orderly/internal/testenv"
)

// moments are where an attempt to authorise can be frozen: on its way to the provider, while the provider works, before the answer
// is back. "get" is the look between storing the intent's id and confirming it.
var moments = [][2]string{
	{"create", "before"}, {"create", "during"}, {"create", "after"}, {"get", "after"},
	{"confirm", "before"}, {"confirm", "during"}, {"confirm", "after"},
}

// TestLateAuthorization freezes an attempt, lets the world go on elsewhere, and thaws it.
func TestLateAuthorization(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		other := w.elsewhere()
		ctx := t.Context()
		for _, at := range moments {
			freeze := func(w *world) (order, func() error) {
				o := w.order("pm_card_visa")
				return o, o.freeze(at[0], at[1], o.authorize, w.service)
			}
			// again is a second attempt; while the provider works on the first it may be told to come back.
			again := func(o order) bool {
				err := o.authorize(ctx, other)
				if at[1] == "during" {
					require.Equal(o.t, fault.Unavailable, fault.KindOf(err), "%v", err)
					return false
				}
				require.NoError(o.t, err)
				o.require(isAuthorized)
				return true
			}
			name := at[0] + " " + at[1]

			t.Run(name+": a second attempt authorises and the late one agrees", func(t *testing.T) {
				w := w.in(t)
				o, thaw := freeze(w)
				again(o)
				require.NoError(t, thaw())
				o.require(isAuthorized)
				w.must(o.authorize)
				o.require(isAuthorized)
			})

			t.Run(name+": after the keys are gone the late one still uses the intent that was stored first", func(t *testing.T) {
				w := w.in(t)
				o, thaw := freeze(w)
				again(o)
				w.forgetKeys()
				require.NoError(t, thaw())
				o.require(isAuthorized)
			})

			t.Run(name+": after the void nothing is held, ever", func(t *testing.T) {
				w := w.in(t)
				o, thaw := freeze(w)
				require.NoError(t, w.insist(o.void, other))
				o.require(neverWas)
				w.requireUndone(thaw())
				o.require(neverWas)
				w.requireUndone(o.authorize(ctx, w.service))
				w.must(o.void)
				o.require(neverWas)
			})

			t.Run(name+": after the keys are gone and the void nothing is held, ever", func(t *testing.T) {
				w := w.in(t)
				o, thaw := freeze(w)
				authorized := again(o)
				w.forgetKeys()
				require.NoError(t, w.insist(o.void, other))
				want := neverWas
				if authorized {
					want = isVoided
				}
				o.require(want)
				err := thaw()
				w.requireUndone(err)
				o.require(want)
			})

			if at[1] == "during" {
				continue // no second attempt gets through
			}
			t.Run(name+": the late one does not disturb what went on to be captured and refunded", func(t *testing.T) {
				w := w.in(t)
				o, thaw := freeze(w)
				again(o)
				require.NoError(t, o.capture(ctx, other))
				o.require(isCaptured)
				o2, thaw2 := freeze(w)
				again(o2)
				require.NoError(t, o2.capture(ctx, other))
				require.NoError(t, o2.refund(ctx, other))
				require.NoError(t, thaw())
				o.require(isCaptured)
				require.NoError(t, thaw2(), "the authorisation itself was not undone")
				o2.require(isRefunded)
			})
		}
	})
}

// TestAttemptStoppedBetweenStoringTheIntentAndConfirmingIt stops the attempt on our side, where no provider sees it.
func TestAttemptStoppedBetweenStoringTheIntentAndConfirmingIt(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		for _, call := range []string{"get", "confirm"} {
			for name, meanwhile := range map[string]func(order) ([]attempt, standing){
				"void":          func(o order) ([]attempt, standing) { return []attempt{o.void}, neverWas },
				"authorisation": func(o order) ([]attempt, standing) { return []attempt{o.authorize}, isAuthorized },
				"both":          func(o order) ([]attempt, standing) { return []attempt{o.authorize, o.void}, isVoided },
			} {
				t.Run(call+" "+name, func(t *testing.T) {
					w := w.in(t)
					o := w.order("pm_card_visa")
					stopped, gate := make(chan struct{}), make(chan struct{})
					gated := w.serviceWith(tapped{Gateway: w.gateway, before: func(now, _ string) error {
						if now == call {
							close(stopped)
							<-gate
						}
						return nil
					}})
					late := make(chan error, 1)
					go func() { late <- o.authorize(context.WithoutCancel(t.Context()), gated) }()
					<-stopped
					require.NotEmpty(t, o.row().IntentID, "the intent must be stored before it can hold anything")
					steps, want := meanwhile(o)
					for _, step := range steps {
						require.NoError(t, w.insist(step, w.elsewhere()))
					}
					o.require(want)
					close(gate)
					if err := <-late; want.State == payments.StateVoided {
						w.requireUndone(err)
					} else {
						require.NoError(t, err)
					}
					o.require(want)
				})
			}
		}
	})
}

// TestClientThatGivesUpWaiting has the attempt's own deadline end while the provider's answer is on its way.
func TestClientThatGivesUpWaiting(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		for _, call := range []string{"create", "confirm", "capture", "refund", "cancel"} {
			for _, when := range []string{"before", "during", "after"} {
				o := w.order("pm_card_visa")
				steps, end := o.life(call)
				for _, step := range steps {
					if got := o.calls()[call]; got > 0 {
						w.must(step)
						continue
					}
					ctx, cancel := context.WithCancel(t.Context())
					id, taken := o.provider.Hold(t, gatewaytest.Call(call), o.id, when)
					done := make(chan error, 1)
					go func() { done <- step(ctx, w.service) }()
					var err error
					require.Eventually(t, func() bool {
						select {
						case err = <-done:
							return true
						default:
							return taken()
						}
					}, 10*time.Second, 2*time.Millisecond)
					if taken() {
						cancel()
						err = <-done
						require.False(t, fault.Final(err), "%v", err)
						require.Error(t, err)
					}
					o.provider.Send(t, http.MethodDelete, "/sandbox/holds/"+id, "", nil)
					cancel()
					require.NoError(t, w.insist(step, w.elsewhere()))
				}
				o.require(end)
			}
		}
	})
}
