package payments_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/payments/stripe"
	"example.com/orderly/internal/testenv"
)

// life is all an order goes through so that a call is made, and how it then stands.
func (o order) life(call string) (steps []attempt, end standing) {
	switch call {
	case "cancel":
		return []attempt{o.authorize, o.void}, isVoided
	case "refund":
		return []attempt{o.authorize, o.capture, o.refund, o.void}, isRefunded
	default:
		return []attempt{o.authorize, o.capture}, isCaptured
	}
}

// recorder notes the keys of each call.
type recorder struct {
	mu   sync.Mutex
	keys map[string][]string
}

func (r *recorder) before(call, key string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[call] = append(r.keys[call], key[strings.LastIndexByte(key, ':')+1:])
	return nil
}

// TestDoubtfulAnswers: after every habit of the provider at every call, repeating the step brings it to one effect. A key is repeated as
// long as it may still bring an answer, and left behind only once it is spent and nothing happened.
func TestDoubtfulAnswers(t *testing.T) {
	t.Parallel()
	attempts := map[string][]string{ // of a call that misbehaves once
		"answer_lost": {"1"}, "error_before": {"1", "2"}, "error_after": {"1"}, "rate_limited": {"1", "1"}, "slow": {"1"},
	}
	creations := map[string][]string{ // there is no look-up for an intent whose id is not known
		"answer_lost": {"1", "1"}, "error_before": {"1", "2"}, "error_after": {"1", "2"}, "rate_limited": {"1", "1"}, "slow": {"1", "1"},
	}
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		impatient := newGateway(t, stripe.Config{APIKey: "sk_test_orderly", URL: w.provider.URL, Timeout: time.Second})
		for _, call := range []string{"create", "confirm", "capture", "cancel", "refund"} {
			for habit, want := range attempts {
				t.Run(fmt.Sprintf("%s %s", call, habit), func(t *testing.T) {
					t.Parallel()
					w := w.in(t)
					if call == "create" {
						want = creations[habit]
					}
					o := w.order("pm_sandbox_" + call + "_" + habit)
					seen := &recorder{keys: map[string][]string{}}
					gateway := tapped{Gateway: w.gateway, before: seen.before}
					if habit == "slow" {
						gateway.Gateway = impatient
					}
					steps, end := o.life(call)
					for _, step := range steps {
						require.NoError(t, w.insist(step, w.serviceWith(gateway)))
					}
					o.require(end)
					require.Equal(t, want, seen.keys[call], "the keys of %s", call)
					intents := 1
					if call == "create" && habit == "error_after" {
						intents = 2 // the first holds nothing and never will
					}
					require.Len(t, o.book(), intents)
				})
			}
		}
	})
}

func TestDoubtfulAnswersAfterTheProviderForgotTheKeys(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		for _, call := range []string{"create", "confirm", "capture", "cancel", "refund"} {
			for _, habit := range []string{"answer_lost", "error_before", "error_after", "rate_limited"} {
				t.Run(fmt.Sprintf("%s %s", call, habit), func(t *testing.T) {
					w := w.in(t)
					o := w.order("pm_sandbox_" + call + "_" + habit)
					steps, end := o.life(call)
					for _, step := range steps {
						require.NoError(t, w.insist(func(ctx context.Context, s *payments.Service) error {
							w.forgetKeys()
							return step(ctx, s)
						}, w.service))
					}
					o.require(end)
				})
			}
		}
	})
}

// TestLookUpFailsToo loses the answer of a call and then that of the look-up which should settle it.
func TestLookUpFailsToo(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		for _, call := range []string{"confirm", "capture", "cancel", "refund"} {
			t.Run(call, func(t *testing.T) {
				w := w.in(t)
				o := w.order("pm_card_visa")
				lost, down := false, false
				gateway := tapped{Gateway: w.gateway, before: func(now, _ string) error {
					if down && now == "get" {
						down = false
						return &payments.UnknownOutcome{Call: now, RetryAfter: 7 * time.Second, Err: http.ErrHandlerTimeout}
					}
					return nil
				}, after: func(now, _ string) error {
					if now == call && !lost {
						lost, down = true, true
						return &payments.UnknownOutcome{Call: now, Err: http.ErrHandlerTimeout}
					}
					return nil
				}}
				steps, end := o.life(call)
				for _, step := range steps {
					require.NoError(t, w.insist(step, w.serviceWith(gateway)))
				}
				require.True(t, lost)
				require.False(t, down)
				o.require(end)
			})
		}
	})
}
