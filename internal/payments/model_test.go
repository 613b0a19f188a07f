package payments_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/payments/gatewaytest"
	"example.com/orderly/internal/testenv"
)

var methods = func() []string {
	list := []string{
		"pm_card_visa", "pm_card_visa", "pm_card_visa", "pm_card_chargeDeclined", "pm_card_authenticationRequired",
		"pm_sandbox_processing", "pm_sandbox_processing_declined", "pm_sandbox_capture_refused", "pm_sandbox_hold_lapsed",
	}
	for _, call := range []string{"create", "confirm", "capture", "cancel", "refund"} {
		for _, habit := range []string{"answer_lost", "error_before", "error_after", "rate_limited"} {
			list = append(list, "pm_sandbox_"+call+"_"+habit)
		}
	}
	return list
}()

// flight is an attempt under way. Its first call of the kind it is held at waits until the hold is deleted.
type flight struct {
	hold string
	undo bool
	done chan error
}

// run is one order in the hands of chance.
type run struct {
	order
	t        *rapid.T
	services []*payments.Service
	aloft    []*flight
	undone   bool // an undo has succeeded: from then on nothing may be held or kept
}

func (r *run) step() (step attempt, undo bool) {
	switch rapid.SampledFrom([]string{"authorize", "authorize", "authorize", "capture", "capture", "refund", "void"}).Draw(r.t, "step") {
	case "authorize":
		return r.authorize, false
	case "capture":
		return r.capture, false
	case "refund":
		return r.refund, true
	default:
		return r.void, true
	}
}

func (r *run) service() *payments.Service {
	return rapid.SampledFrom(r.services).Draw(r.t, "service")
}

// landed judges what came of an attempt.
func (r *run) landed(f *flight, err error) {
	if err != nil && !fault.Final(err) {
		require.Equal(r.t, fault.Unavailable, fault.KindOf(err), "%v", err)
	}
	r.undone = r.undone || f.undo && err == nil
}

// launch starts an attempt, held at a call that it may or may not come to, and returns when it waits there or is over.
func (r *run) launch(call, when string) {
	step, undo := r.step()
	service := r.service()
	id, taken := r.provider.Hold(r.world.t, gatewaytest.Call(call), r.id, when)
	f := &flight{hold: id, undo: undo, done: make(chan error, 1)}
	go func() { f.done <- step(context.Background(), service) }()
	for {
		select {
		case err := <-f.done:
			r.release(f)
			r.landed(f, err)
			return
		case <-time.After(time.Millisecond):
			if taken() {
				r.aloft = append(r.aloft, f)
				return
			}
		}
	}
}

func (r *run) release(f *flight) {
	r.provider.Send(r.world.t, http.MethodDelete, "/sandbox/holds/"+f.hold, "", nil)
}

func (r *run) thaw(i int) {
	f := r.aloft[i]
	r.aloft = append(r.aloft[:i], r.aloft[i+1:]...)
	r.release(f)
	r.landed(f, <-f.done)
}

// atOnce runs several attempts at the same time.
func (r *run) atOnce(n int) {
	flights := make([]*flight, n)
	for i := range flights {
		step, undo := r.step()
		service, f := r.service(), &flight{undo: undo, done: make(chan error, 1)}
		flights[i] = f
		go func() { f.done <- step(context.Background(), service) }()
	}
	for _, f := range flights {
		r.landed(f, <-f.done)
	}
}

// holds checks what must be true at every moment, also while attempts are under way.
func (r *run) holds() {
	charges := 0
	var held, captured, refunded int64
	for _, c := range r.book() {
		charges += c.Charges
		held, captured, refunded = held+c.AuthorizedMinor, captured+c.CapturedMinor, refunded+c.RefundedMinor
	}
	require.LessOrEqual(r.t, charges, 1, "charges of %s", r.id)
	if r.undone {
		require.Zero(r.t, held, "held after an undo of %s", r.id)
		require.Equal(r.t, captured, refunded, "captured and refunded after an undo of %s", r.id)
	}
}

// settle repeats a step until it has an outcome; what is processing gets time.
func (r *run) settle(step attempt) error {
	for range 12 {
		err := step(context.Background(), r.services[0])
		if err == nil || fault.Final(err) {
			return err
		}
		require.Equal(r.t, fault.Unavailable, fault.KindOf(err), "%v", err)
		r.ahead.Add(int64(2 * time.Hour))
	}
	require.FailNow(r.t, "a step never gets an outcome", r.id)
	return nil
}

// rest lets everything land and takes the saga to an end.
func (r *run) rest() {
	for len(r.aloft) > 0 {
		r.thaw(rapid.IntRange(0, len(r.aloft)-1).Draw(r.t, "landing"))
		r.holds()
	}
	giveUp := rapid.Bool().Draw(r.t, "give up")
	if !giveUp {
		giveUp = r.settle(r.authorize) != nil || r.settle(r.capture) != nil
	}
	if giveUp {
		require.NoError(r.t, r.settle(r.refund))
		require.NoError(r.t, r.settle(r.void))
		r.undone = true
	}
	r.holds()
	// The two books, and what was announced. An event is a fact, so each is there at most once and its opposite comes later.
	s := r.standing(r.t)
	if giveUp {
		require.Contains(r.t, []payments.State{payments.StateVoided, payments.StateRefunded}, s.State)
	} else {
		require.Equal(r.t, isCaptured, s)
		return
	}
	require.Contains(r.t, []string{
		"[]", fmt.Sprint([]string{declinedEvent}), fmt.Sprint([]string{authorizedEvent, voidedEvent}),
		fmt.Sprint([]string{authorizedEvent, capturedEvent, refundedEvent}),
	}, fmt.Sprint(s.Events))
	require.Equal(r.t, s.State == payments.StateRefunded, len(s.Events) == 3, "%+v", s)
}

// TestChance takes orders through attempts, faults and interleavings at random: money is held and taken at most once, is gone from
// both books once it was given up, and the books agree when all is at rest.
func TestChance(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		services := []*payments.Service{w.service, w.elsewhere()}
		rapid.Check(t, func(t *rapid.T) {
			r := &run{order: w.order(rapid.SampledFrom(methods).Draw(t, "method")), t: t, services: services}
			defer func() { // a run that failed must not hold up the provider
				for _, f := range r.aloft {
					r.release(f)
					<-f.done
				}
			}()
			for range rapid.IntRange(1, 12).Draw(t, "actions") {
				switch action := rapid.SampledFrom([]string{"one", "one", "held", "held", "thaw", "at once", "keys", "time"}).Draw(t, "action"); {
				case action == "one":
					r.atOnce(1)
				case action == "held":
					r.launch(rapid.SampledFrom([]string{"create", "get", "confirm", "capture", "cancel", "refund"}).Draw(t, "call"), "after")
				case action == "thaw" && len(r.aloft) > 0:
					r.thaw(rapid.IntRange(0, len(r.aloft)-1).Draw(t, "which"))
				case action == "thaw":
					r.launch(rapid.SampledFrom([]string{"create", "confirm", "capture", "cancel", "refund"}).Draw(t, "call"),
						rapid.SampledFrom([]string{"before", "during"}).Draw(t, "when"))
				case action == "at once":
					r.atOnce(rapid.IntRange(2, 5).Draw(t, "attempts"))
				case action == "keys":
					w.forgetKeys()
				case action == "time":
					w.ahead.Add(int64(2 * time.Hour))
				}
				r.holds()
			}
			r.rest()
		})
	})
}
