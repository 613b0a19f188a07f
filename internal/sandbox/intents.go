package sandbox

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The bounds of an amount at Stripe; the lower one is that of most currencies.
const (
	minAmount = 50
	maxAmount = 99_999_999
)

var currencyForm = regexp.MustCompile(`^[a-z]{3}$`)

func createIntent(ctx context.Context, tx *sql.Tx, c *call) (answer, error) {
	if a, fine := c.understood("amount", "currency", "capture_method", "confirm", "confirmation_method", "metadata", "payment_method"); !fine {
		return a, nil
	}
	amount, refusal := c.amount("amount")
	if refusal != nil {
		return *refusal, nil
	}
	currency, method := c.form.Get("currency"), c.form.Get("payment_method")
	switch {
	case amount == 0:
		return invalidParam("parameter_missing", "amount", "Missing required param: amount."), nil
	case amount < minAmount:
		return invalidParam("amount_too_small", "amount", "Amount must be at least %d.", minAmount), nil
	case amount > maxAmount:
		return invalidParam("amount_too_large", "amount", "Amount must be no more than %d.", maxAmount), nil
	case !currencyForm.MatchString(currency):
		return invalidParam("parameter_invalid_empty", "currency", "Invalid currency: %q. Use three lower-case letters.", currency), nil
	case c.form.Get("capture_method") != "manual":
		return invalidParam("parameter_unknown", "capture_method", "This sandbox speaks capture_method=manual only."), nil
	case method != "" && methods[method].Name == "":
		return missing(http.StatusBadRequest, "PaymentMethod", "payment_method", method), nil
	}
	i := &intent{
		id: "pi_" + rand.Text(), account: c.account, orderID: c.form.Get("metadata[order_id]"), metadata: c.metadata(),
		status: needsConfirm, amount: amount, currency: currency, method: method, createdAt: c.now,
	}
	if method == "" {
		i.status = needsMethod
	}
	if err := insertIntent(ctx, tx, i); err != nil {
		return answer{}, err
	}
	c.intent = i
	if c.form.Get("confirm") == "true" {
		return c.confirm(ctx, tx)
	}
	return ok(showIntent(i, c.expand())), nil
}

func getIntent(_ context.Context, _ *sql.Tx, c *call) (answer, error) {
	if c.intent == nil {
		return missing(http.StatusNotFound, "payment_intent", "intent", c.id), nil
	}
	return ok(showIntent(c.intent, c.expand())), nil
}

func confirmIntent(ctx context.Context, tx *sql.Tx, c *call) (answer, error) {
	if a, fine := c.understood("payment_method", "capture_method"); !fine {
		return a, nil
	}
	if c.intent == nil {
		return missing(http.StatusNotFound, "payment_intent", "intent", c.id), nil
	}
	if given := c.form.Get("payment_method"); given != "" {
		if methods[given].Name == "" {
			return missing(http.StatusBadRequest, "PaymentMethod", "payment_method", given), nil
		}
		if slices.Contains([]string{needsMethod, needsConfirm, needsAction}, c.intent.status) {
			return c.confirmWith(ctx, tx, given)
		}
	}
	return c.confirm(ctx, tx)
}

func (c *call) confirmWith(ctx context.Context, tx *sql.Tx, method string) (answer, error) {
	from := c.intent.status
	c.intent.method, c.intent.status = method, needsConfirm
	if err := c.intent.move(ctx, tx, from, 0); err != nil {
		return answer{}, err
	}
	return c.confirm(ctx, tx)
}

func (c *call) confirm(ctx context.Context, tx *sql.Tx) (answer, error) {
	i := c.intent
	if i.status != needsConfirm {
		return unexpectedState(i, "confirm"), nil
	}
	m := methods[i.method]
	switch {
	case m.processes:
		i.status, i.settlesAt = processing, c.now.Add(c.wait)
	case m.action:
		i.status = needsAction
	default:
		i.decide(m)
	}
	if err := i.move(ctx, tx, needsConfirm, 0); err != nil {
		return answer{}, err
	}
	if i.status == needsMethod {
		return cardError(i), nil
	}
	return ok(showIntent(i, c.expand())), nil
}

// decide is the issuer's answer.
func (i *intent) decide(m Method) {
	if m.decline != nil {
		i.status = needsMethod
		i.errorCode, i.declineCode, i.errorMessage = m.decline.code, m.decline.declineCode, m.decline.message
		return
	}
	i.status, i.authorized, i.charges = needsCapture, i.amount, 1
	i.errorCode, i.declineCode, i.errorMessage = "", "", ""
}

// settle lets the issuer answer an intent that has been processing long enough.
func (i *intent) settle(ctx context.Context, tx *sql.Tx, now time.Time) error {
	if i.status != processing || now.Before(i.settlesAt) {
		return nil
	}
	i.decide(methods[i.method])
	return i.move(ctx, tx, processing, 0)
}

func captureIntent(ctx context.Context, tx *sql.Tx, c *call) (answer, error) {
	if a, fine := c.understood("amount_to_capture"); !fine {
		return a, nil
	}
	i := c.intent
	if i == nil {
		return missing(http.StatusNotFound, "payment_intent", "intent", c.id), nil
	}
	amount, refusal := c.amount("amount_to_capture")
	switch {
	case refusal != nil:
		return *refusal, nil
	case i.status != needsCapture:
		return unexpectedState(i, "capture"), nil
	case amount > i.authorized:
		return invalidParam("amount_too_large", "amount_to_capture",
			"amount_to_capture is greater than what is authorized (%d).", i.authorized), nil
	case amount == 0:
		amount = i.authorized
	}
	if m := methods[i.method]; m.captureRefuse != "" {
		if m.holdLapses {
			i.status, i.authorized, i.cancelReason, i.canceledAt = canceled, 0, "automatic", c.now.UnixMilli()
			if err := i.move(ctx, tx, needsCapture, 0); err != nil {
				return answer{}, err
			}
		}
		return rejected(i, m.captureRefuse, "This PaymentIntent cannot be captured."), nil
	}
	i.status, i.captured, i.authorized = succeeded, amount, 0
	if err := i.move(ctx, tx, needsCapture, 0); err != nil {
		return answer{}, err
	}
	return ok(showIntent(i, c.expand())), nil
}

func cancelIntent(ctx context.Context, tx *sql.Tx, c *call) (answer, error) {
	if a, fine := c.understood("cancellation_reason"); !fine {
		return a, nil
	}
	i := c.intent
	if i == nil {
		return missing(http.StatusNotFound, "payment_intent", "intent", c.id), nil
	}
	reason := c.form.Get("cancellation_reason")
	if !slices.Contains([]string{"", "duplicate", "fraudulent", "requested_by_customer", "abandoned"}, reason) {
		return invalidParam("", "cancellation_reason", "Invalid cancellation_reason: %s", reason), nil
	}
	from := i.status
	if !slices.Contains([]string{needsMethod, needsConfirm, needsAction, needsCapture}, from) {
		return unexpectedState(i, "cancel"), nil
	}
	i.status, i.authorized, i.cancelReason, i.canceledAt = canceled, 0, reason, c.now.UnixMilli()
	if err := i.move(ctx, tx, from, 0); err != nil {
		return answer{}, err
	}
	return ok(showIntent(i, c.expand())), nil
}

func getMethod(_ context.Context, _ *sql.Tx, c *call) (answer, error) {
	m, known := methods[c.id]
	if !known {
		return missing(http.StatusNotFound, "PaymentMethod", "payment_method", c.id), nil
	}
	brand := m.brand
	if brand == "" {
		brand = "visa"
	}
	return ok(map[string]any{
		"id": m.Name, "object": "payment_method", "type": "card", "livemode": false, "created": c.now.Unix(), "metadata": map[string]string{},
		"card": map[string]any{"brand": brand, "last4": "4242", "exp_month": 12, "exp_year": c.now.Year() + 1},
	}), nil
}

// amount reads a money parameter; zero means that it was not given.
func (c *call) amount(param string) (int64, *answer) {
	text := c.form.Get(param)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		a := invalidParam("parameter_invalid_integer", param, "Invalid positive integer: %s", text)
		return 0, &a
	}
	return n, nil
}

func (c *call) metadata() map[string]string {
	out := map[string]string{}
	for name, values := range c.form {
		if key, found := strings.CutPrefix(name, "metadata["); found {
			out[strings.TrimSuffix(key, "]")] = values[0]
		}
	}
	return out
}
