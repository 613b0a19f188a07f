package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/payments"
)

const (
	// longestWait caps Prefer: wait.
	longestWait = 30 * time.Second
	// methodPatience bounds asking the payment provider before an order is accepted without its word.
	methodPatience = time.Second
	// startPatience bounds starting the saga before it is left to the sweep.
	startPatience = 2 * time.Second
)

func (a *API) placeOrder(c *gin.Context, who login) error {
	key, err := idempotencyKey(c.Request.Header)
	if err != nil {
		return err
	}
	var body struct {
		Lines         []orders.Wanted `json:"lines"`
		PaymentMethod string          `json:"payment_method"`
	}
	if err := decode(c, &body); err != nil {
		return err
	}
	p := orders.Placement{CustomerID: who.userID, IdempotencyKey: key, PaymentMethod: body.PaymentMethod, Lines: body.Lines}
	if err := p.CheckForm(); err != nil {
		return err
	}
	if !a.exempt(c.Request.Context()) {
		p.MostOpen = a.cfg.Limits.OpenOrders
	}
	order, repeated, err := a.accept(c, p)
	if err != nil {
		return err
	}
	status := http.StatusAccepted
	if wait := preferredWait(c.Request.Header); wait > 0 {
		if order, err = a.awaitEnd(c, order, wait); err != nil {
			return err
		}
		if order.State.Ended() {
			status = http.StatusCreated
			c.Header("Preference-Applied", "wait="+strconv.Itoa(int(wait.Seconds())))
		}
	}
	if repeated {
		c.Header("Idempotency-Replayed", "true")
	}
	c.Header("Location", "/v1/orders/"+order.ID)
	return answerJSON(c, status, orderOf(order))
}

// accept places the order, or finds the one that an equal request placed. A repeated request starts no saga: the first one did,
// or the sweep will.
func (a *API) accept(c *gin.Context, p orders.Placement) (order orders.Order, repeated bool, err error) {
	ctx, x := c.Request.Context(), exchangeOf(c)
	order, repeated, err = a.cfg.Orders.Repeated(ctx, p)
	if err == nil && !repeated {
		if err := a.take(c, orderLimit, p.CustomerID); err != nil {
			return orders.Order{}, false, err
		}
		if err := a.checkMethod(ctx, x, p.PaymentMethod); err != nil {
			return orders.Order{}, false, err
		}
		if order, repeated, err = a.cfg.Orders.Place(ctx, p); repeated {
			a.giveBack(c, orderLimit, p.CustomerID)
		}
	}
	if err != nil {
		return orders.Order{}, false, err
	}
	x.about(order.ID)
	if !repeated {
		a.startSaga(ctx, x, order)
	}
	return order, repeated, nil
}

func (a *API) checkMethod(ctx context.Context, x *exchange, method string) error {
	ctx, cancel := context.WithTimeout(ctx, methodPatience)
	defer cancel()
	err := a.cfg.CheckMethod(ctx, method)
	if fault.Final(err) {
		if fault.CodeOf(err) != payments.CodeUnknownMethod {
			// The provider's own code and words may say of a card what is not for the one who tests it.
			a.log.Warn("the provider refused a payment method", "request_id", x.requestID, "error", err)
			return fault.New(fault.Invalid, payments.CodeUnknownMethod, "the payment provider does not take this payment method")
		}
		return err
	}
	if err != nil {
		a.log.Warn("the payment method was not checked", "request_id", x.requestID, "error", err)
	}
	return nil
}

// startSaga runs though the client has left: the order is committed, and starting it now spares it the wait for the sweep.
func (a *API) startSaga(ctx context.Context, x *exchange, order orders.Order) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startPatience)
	defer cancel()
	if err := a.cfg.StartSaga(ctx, order); err != nil {
		a.log.Warn("the saga was not started and is left to the sweep", "order_id", order.ID, "request_id", x.requestID, "error", err)
	}
}

// awaitEnd returns the order as it is when it has ended, when the wait is over or when the server shuts down.
func (a *API) awaitEnd(c *gin.Context, order orders.Order, wait time.Duration) (orders.Order, error) {
	if order.State.Ended() {
		return order, nil
	}
	x := exchangeOf(c)
	ctx, cancel := x.wait(wait, a.cfg.AnswerWithin)
	defer cancel()
	defer context.AfterFunc(a.draining, cancel)()
	if err := a.cfg.AwaitEnd(ctx, order.ID); err != nil && ctx.Err() == nil {
		a.log.Warn("the end of the order was not awaited", "order_id", order.ID, "request_id", x.requestID, "error", err)
	}
	ctx, cancel = context.WithTimeout(x.ctx, a.cfg.AnswerWithin/2)
	defer cancel()
	return a.cfg.Orders.Get(ctx, order.ID)
}

// preferredWait is the wait of the Prefer header (RFC 7240), 0 if there is none that can be read: servers may ignore a preference.
func preferredWait(h http.Header) time.Duration {
	for preference := range strings.SplitSeq(strings.Join(h.Values("Prefer"), ","), ",") {
		preference, _, _ = strings.Cut(preference, ";")
		name, value, _ := strings.Cut(preference, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		seconds, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`))
		if err != nil || seconds < 0 {
			return 0
		}
		return time.Duration(min(seconds, int(longestWait.Seconds()))) * time.Second
	}
	return 0
}

// idempotencyKey reads the header as the structured-field string it is defined to be, or bare, as most clients send it.
func idempotencyKey(h http.Header) (string, error) {
	values := h.Values("Idempotency-Key")
	invalid := fault.New(fault.Invalid, "idempotency_key_invalid", "Idempotency-Key is one key, bare or in double quotes")
	switch {
	case len(values) == 0 || (len(values) == 1 && values[0] == ""):
		return "", &refusal{http.StatusBadRequest, "idempotency_key_missing", "send an Idempotency-Key of your own, a new one for each order"}
	case len(values) > 1:
		return "", invalid
	case !strings.HasPrefix(values[0], `"`):
		return values[0], nil
	}
	quoted := values[0]
	if len(quoted) < 2 || !strings.HasSuffix(quoted, `"`) {
		return "", invalid
	}
	var key strings.Builder
	for inner := quoted[1 : len(quoted)-1]; inner != ""; inner = inner[1:] {
		switch inner[0] {
		case '\\':
			inner = inner[1:]
			if inner == "" || (inner[0] != '"' && inner[0] != '\\') {
				return "", invalid
			}
		case '"':
			return "", invalid
		}
		key.WriteByte(inner[0])
	}
	return key.String(), nil
}
