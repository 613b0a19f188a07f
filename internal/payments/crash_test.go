package payments_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/testenv"
)

// fuse burns down by one at every moment of an attempt, and at its end something happens, once. A moment is either side of each
// call of the provider, and each look at the clock, which is inside each transaction: the moment after a commit is the one before
// the next call.
type fuse struct {
	left int
	bang func() error
}

func (f *fuse) burn() error {
	if f.left--; f.left == 0 {
		return f.bang()
	}
	return nil
}

var errCrash = errors.New("the process ended")

// disasters are what can happen at a moment. They return the error that takes the place of the provider's answer.
var disasters = map[string]func(cancel func()) error{
	"the process ends":  func(func()) error { panic(errCrash) },
	"the attempt ends":  func(cancel func()) error { cancel(); return nil },
	"the answer is off": func(func()) error { return &payments.UnknownOutcome{Err: errCrash} },
	"the key is spent":  func(func()) error { return &payments.UnknownOutcome{KeyExhausted: true, Err: errCrash} },
}

// TestDisasterAtEveryMoment lets it strike at the first moment, the second, and so on until an order comes through unharmed. The steps
// it interrupted are taken up elsewhere, and every order ends alike.
func TestDisasterAtEveryMoment(t *testing.T) {
	t.Parallel()
	lives := map[string]struct {
		method string
		steps  func(o order) []attempt
		end    standing
	}{
		"paid":     {"pm_card_visa", func(o order) []attempt { return []attempt{o.authorize, o.capture} }, isCaptured},
		"voided":   {"pm_card_visa", func(o order) []attempt { return []attempt{o.authorize, o.void} }, isVoided},
		"refunded": {"pm_card_visa", func(o order) []attempt { return []attempt{o.authorize, o.capture, o.refund, o.void} }, isRefunded},
		"declined": {"pm_card_chargeDeclined", func(o order) []attempt { return []attempt{o.authorize} }, isDeclined},
		"never":    {"pm_card_visa", func(o order) []attempt { return []attempt{o.void, o.authorize} }, neverWas},
		"capture refused": {
			"pm_sandbox_capture_refused", func(o order) []attempt { return []attempt{o.authorize, o.capture, o.refund, o.void} }, isVoided,
		},
		"confirmed at the second key": {
			"pm_sandbox_confirm_error_before", func(o order) []attempt { return []attempt{o.authorize} }, isAuthorized,
		},
		"captured at the second key": {
			"pm_sandbox_capture_error_before", func(o order) []attempt { return []attempt{o.authorize, o.capture} }, isCaptured,
		},
		"refunded at the second key": {
			"pm_sandbox_refund_error_before", func(o order) []attempt { return []attempt{o.authorize, o.capture, o.refund} }, isRefunded,
		},
	}
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		for name, life := range lives {
			for what, disaster := range disasters {
				t.Run(name+", "+what, func(t *testing.T) {
					w := w.in(t)
					moment, struck := 0, true
					for ; struck; moment++ {
						o := w.order(life.method)
						struck = o.strike(life.steps(o), moment+1, disaster)
						o.require(life.end)
					}
					require.Greater(t, moment, 4, "so few moments cannot be all")
				})
			}
		}
	})
}

// strike takes an order through its steps, with a disaster at one moment of one of them, and reports whether it came to that.
func (o order) strike(steps []attempt, moment int, disaster func(cancel func()) error) (struck bool) {
	o.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f := &fuse{left: moment, bang: func() error {
		struck = true
		return disaster(cancel)
	}}
	moments := func(string, string) error { return f.burn() }
	clock := func() time.Time {
		_ = f.burn() // the clock has no answer to lose
		return time.Now()
	}
	doomed := payments.New(outbox.New(o.db, "payments", clock), tapped{Gateway: o.gateway, before: moments, after: moments})
	for _, step := range steps {
		for !struck {
			err := survive(func() error { return step(ctx, doomed) })
			if err == nil || fault.Final(err) {
				break
			}
			require.True(o.t, struck || fault.KindOf(err) == fault.Unavailable, "%v", err)
		}
		if struck {
			_ = o.insist(step, o.serviceWith(o.gateway)) // yes or no; the end tells
		}
	}
	return struck
}

func survive(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			crash, ok := r.(error)
			if !ok || !errors.Is(crash, errCrash) {
				panic(r)
			}
			err = crash
		}
	}()
	return do()
}
