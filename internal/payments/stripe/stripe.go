// Package stripe is the payments.Gateway that speaks Stripe's API, and how Stripe's answers map to the gateway's contract.
package stripe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/paymenttoken"
)

// Config says how to reach Stripe, or a sandbox that speaks its API.
type Config struct {
	APIKey string
	// URL of the API without /v1; Stripe's own if empty.
	URL string
	// Timeout bounds one call from dialling to the last byte; 5 s if zero. Keep it below the activity's start-to-close.
	Timeout time.Duration
}

// Gateway is the payments.Gateway that speaks Stripe's v1 API. It retries nothing by itself: retries belong to the saga, where they are
// visible, and a second attempt is the caller's decision. Safe for concurrent use.
type Gateway struct {
	client *stripe.Client
}

var _ payments.Gateway = (*Gateway)(nil)

// New makes a gateway of its own: no state of the stripe package is touched. It makes no call.
func New(cfg Config) (*Gateway, error) {
	if cfg.APIKey == "" {
		return nil, fault.New(fault.Internal, payments.CodeMisconfigured, "the Stripe API key is empty")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	backend := &stripe.BackendConfig{
		HTTPClient:        &http.Client{Timeout: cfg.Timeout, Transport: newTransport()},
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull}, // errors are returned, and logged by the caller
		MaxNetworkRetries: stripe.Int64(0),
		EnableTelemetry:   stripe.Bool(false),
	}
	if cfg.URL != "" {
		backend.URL = stripe.String(cfg.URL)
	}
	return &Gateway{client: stripe.NewClient(cfg.APIKey, stripe.WithBackends(stripe.NewBackendsWithConfig(backend)))}, nil
}

// noReplay keeps net/http from sending a request twice. It does so by itself when a reused connection breaks and the request carries
// an Idempotency-Key and a body it can rewind; the saga would never learn of the first attempt.
type noReplay struct{ next http.RoundTripper }

func (t noReplay) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		r = r.Clone(r.Context())
		r.GetBody = nil
	}
	return t.next.RoundTrip(r)
}

func newTransport() http.RoundTripper {
	return noReplay{&http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		TLSHandshakeTimeout: 3 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     30 * time.Second, // below any server's, so that a reused connection is rarely a dead one
	}}
}

// Method implements payments.Gateway.
func (s *Gateway) Method(ctx context.Context, id string) error {
	if err := checkToken(id); err != nil {
		return err
	}
	_, err := s.client.V1PaymentMethods.Retrieve(ctx, id, nil)
	if codeOf(err) == stripe.ErrorCodeResourceMissing {
		return unknownMethod(id)
	}
	return classify("look-up of a method", "", err)
}

// checkToken keeps what is not a token, a card number say, from being sent, logged or shown.
func checkToken(id string) error {
	if !strings.HasPrefix(id, "pm_") || !paymenttoken.Valid(id) {
		return fault.New(fault.Invalid, payments.CodeUnknownMethod, "the payment method is not a token of the payment provider (pm_...)")
	}
	return nil
}

func unknownMethod(id string) error {
	return fault.New(fault.Invalid, payments.CodeUnknownMethod, "payment method %q is not known", id)
}

// Create implements payments.Gateway. Only cards are offered: with Stripe's dashboard choosing the methods, a confirmation without the customer
// present would need a return URL.
func (s *Gateway) Create(ctx context.Context, key string, in payments.NewIntent) (payments.Intent, error) {
	if err := checkToken(in.Method); err != nil {
		return payments.Intent{}, err
	}
	p := &stripe.PaymentIntentCreateParams{
		Amount:             stripe.Int64(in.AmountMinor),
		Currency:           stripe.String(strings.ToLower(in.Currency)),
		CaptureMethod:      stripe.String(stripe.PaymentIntentCaptureMethodManual),
		Confirm:            stripe.Bool(false),
		PaymentMethod:      stripe.String(in.Method),
		PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
		Metadata:           map[string]string{"order_id": in.OrderID},
		Expand:             latestCharge,
	}
	p.IdempotencyKey = stripe.String(key)
	pi, err := s.client.V1PaymentIntents.Create(ctx, p)
	if err != nil {
		if e := new(stripe.Error); errors.As(err, &e) && e.Code == stripe.ErrorCodeResourceMissing && e.Param == "payment_method" {
			return payments.Intent{}, unknownMethod(in.Method)
		}
		return payments.Intent{}, classify("create", "", err)
	}
	if replayed(pi.LastResponse) {
		return s.Get(ctx, pi.ID)
	}
	return intentOf(pi), nil
}

var latestCharge = stripe.StringSlice([]string{"latest_charge"})

// Get implements payments.Gateway.
func (s *Gateway) Get(ctx context.Context, intentID string) (payments.Intent, error) {
	pi, err := s.client.V1PaymentIntents.Retrieve(ctx, intentID, &stripe.PaymentIntentRetrieveParams{Expand: latestCharge})
	if err != nil {
		return payments.Intent{}, classify("look-up", intentID, err)
	}
	return intentOf(pi), nil
}

// Confirm implements payments.Gateway. A 402 is the issuer's answer: recorded at Stripe, replayed to the key, and nothing is held, so it is a
// decline even if it is a replay. A 500 is not: it is replayed, too, yet the hold may be there.
func (s *Gateway) Confirm(ctx context.Context, key, intentID string) (payments.Intent, error) {
	p := &stripe.PaymentIntentConfirmParams{Expand: latestCharge}
	p.IdempotencyKey = stripe.String(key)
	pi, err := s.client.V1PaymentIntents.Confirm(ctx, intentID, p)
	return s.resolve(ctx, "confirm", intentID, pi, err, confirmed)
}

// Capture implements payments.Gateway.
func (s *Gateway) Capture(ctx context.Context, key, intentID string) (payments.Intent, error) {
	p := &stripe.PaymentIntentCaptureParams{Expand: latestCharge}
	p.IdempotencyKey = stripe.String(key)
	pi, err := s.client.V1PaymentIntents.Capture(ctx, intentID, p)
	return s.resolve(ctx, "capture", intentID, pi, err, captured)
}

// Void implements payments.Gateway.
func (s *Gateway) Void(ctx context.Context, key, intentID string) (payments.Intent, error) {
	p := &stripe.PaymentIntentCancelParams{Expand: latestCharge}
	p.IdempotencyKey = stripe.String(key)
	pi, err := s.client.V1PaymentIntents.Cancel(ctx, intentID, p)
	return s.resolve(ctx, "void", intentID, pi, err, voided)
}

// Refund implements payments.Gateway.
func (s *Gateway) Refund(ctx context.Context, key, intentID string, amountMinor int64) (payments.Intent, error) {
	p := &stripe.RefundCreateParams{
		PaymentIntent: stripe.String(intentID),
		Amount:        stripe.Int64(amountMinor),
		Expand:        stripe.StringSlice([]string{"payment_intent.latest_charge"}),
	}
	p.IdempotencyKey = stripe.String(key)
	refund, err := s.client.V1Refunds.Create(ctx, p)
	if err == nil && (refund.Status == stripe.RefundStatusFailed || refund.Status == stripe.RefundStatusCanceled) {
		return payments.Intent{}, fault.New(fault.Conflict, "refund_"+string(refund.Status), "refund of intent %s: %s", intentID, refund.FailureReason)
	}
	var pi *stripe.PaymentIntent
	if err == nil && refund.PaymentIntent != nil {
		pi = refund.PaymentIntent
		pi.LastResponse = refund.LastResponse
	}
	return s.resolve(ctx, "refund", intentID, pi, err, refunded)
}

// resolve maps Stripe's answer to the contract of payments.Gateway. On a replayed answer, or an error about the intent's state, it reads
// the intent and decides from its status: goal returns nil if the status is what the call wanted.
func (s *Gateway) resolve(
	ctx context.Context, call, intentID string, pi *stripe.PaymentIntent, err error, goal func(payments.Intent) error,
) (payments.Intent, error) {
	switch code := codeOf(err); {
	case err == nil && pi != nil && !replayed(pi.LastResponse):
		i := intentOf(pi)
		return i, outcomeOf(call, i, goal)
	case err == nil, code == stripe.ErrorCodePaymentIntentUnexpectedState, code == stripe.ErrorCodeChargeAlreadyRefunded,
		code == stripe.ErrorCodeChargeAlreadyCaptured:
		i, err := s.Get(ctx, intentID)
		if err != nil {
			return payments.Intent{}, fmt.Errorf("%s of intent %s: %w", call, intentID, err)
		}
		return i, outcomeOf(call, i, goal)
	default:
		return payments.Intent{}, classify(call, intentID, err)
	}
}

var errUndecided = errors.New("the intent's state does not show an outcome")

// outcomeOf is what the state of the intent says about the call. While that is undecided only a call with another key can get further: Stripe
// would replay its answer to this one.
func outcomeOf(call string, i payments.Intent, goal func(payments.Intent) error) error {
	err := goal(i)
	if errors.Is(err, errUndecided) {
		return &payments.UnknownOutcome{Call: call, IntentID: i.ID, KeyExhausted: true, Err: fmt.Errorf("%w: %s", err, i.Status)}
	}
	return err
}
