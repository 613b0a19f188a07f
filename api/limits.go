package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/limit"
	"example.com/orderly/internal/password"
	"example.com/orderly/internal/source"
	"example.com/orderly/internal/users"
)

// Limits are how much may come of what, and from whom it may come without a limit. Zero is no limit.
type Limits struct {
	// Requests of a source, each counted by the process that answers it.
	Requests limit.Rate
	// Logins of a source, with a right password or a wrong one.
	Logins limit.Rate
	// FailedLogins of a source: with a wrong password, or for an address that no account has.
	FailedLogins limit.Rate
	// WrongPasswords for one account from one source.
	WrongPasswords limit.Rate
	// Registrations of a source.
	Registrations limit.Rate
	// Orders of a customer, repeated ones not counted.
	Orders limit.Rate
	// OpenOrders is how many orders of a customer may wait for their payment at one time.
	OpenOrders int
	// Exempt are sources that meet no limit.
	Exempt source.Networks
}

// limited is one entry of the table of limits.
type limited struct {
	// name is how the limit is called in headers, metrics and log lines. The code of a refusal is too_many_<name>.
	name string
	rate func(l Limits) limit.Rate
	// what is refused, for people.
	what string
	// here counts in this process alone.
	here bool
}

// limits is the table of limits, open orders apart, which the orders service counts.
var (
	requestLimit       = limited{name: "requests", rate: func(l Limits) limit.Rate { return l.Requests }, what: "requests from this address", here: true}
	loginLimit         = limited{name: "logins", rate: func(l Limits) limit.Rate { return l.Logins }, what: "log-ins from this address"}
	failedLoginLimit   = limited{name: "failed_logins", rate: func(l Limits) limit.Rate { return l.FailedLogins }, what: "failed log-ins from this address"}
	wrongPasswordLimit = limited{name: "wrong_passwords", rate: func(l Limits) limit.Rate { return l.WrongPasswords }, what: "failed log-ins for this account from this address"}
	registrationLimit  = limited{name: "registrations", rate: func(l Limits) limit.Rate { return l.Registrations }, what: "registrations from this address"}
	orderLimit         = limited{name: "orders", rate: func(l Limits) limit.Rate { return l.Orders }, what: "orders of this customer"}

	limits = []limited{requestLimit, loginLimit, failedLoginLimit, wrongPasswordLimit, registrationLimit, orderLimit}
)

// openOrdersLimit is the name of the limit that the orders service keeps.
const openOrdersLimit = "open_orders"

// limitCodePrefix begins the code of each refusal by a limit; the name of the limit follows.
const limitCodePrefix = "too_many_"

// take takes one from what the limit leaves to the key, and tells the client what is left. Limited too_many_<name> where nothing is.
func (a *API) take(c *gin.Context, l limited, key string) error {
	verdict, asked := a.count(c.Request.Context(), l, key, 1)
	if !asked {
		return nil
	}
	rate := l.rate(a.cfg.Limits)
	tellLimit(c.Writer.Header(), l.name, rate, verdict)
	if verdict.Allowed {
		return nil
	}
	refused := fault.New(fault.Limited, limitCodePrefix+l.name, "too many %s: no more than %d in %s", l.what, rate.Burst, rate.Per)
	refused.RetryAfter = verdict.RetryAfter
	return refused
}

// giveBack undoes a take of what was not to be counted in the end.
func (a *API) giveBack(c *gin.Context, l limited, key string) {
	a.count(c.Request.Context(), l, key, -1)
}

// count is a request to the limiter; asked is false where there is no limit, or none for the request's source.
func (a *API) count(ctx context.Context, l limited, key string, n int) (verdict limit.Verdict, asked bool) {
	rate := l.rate(a.cfg.Limits)
	if rate.Unlimited() || a.exempt(ctx) {
		return limit.Verdict{}, false
	}
	if l.here {
		return a.cfg.Limiter.TakeHere(l.name, key, rate, n), true
	}
	return a.cfg.Limiter.Take(ctx, l.name, key, rate, n), true
}

func (a *API) exempt(ctx context.Context) bool {
	return a.cfg.Limits.Exempt.ContainSource(source.Of(ctx))
}

// limitRequests lets through what the limit of all requests leaves to their source.
func (a *API) limitRequests(h func(c *gin.Context) error) func(c *gin.Context) error {
	return func(c *gin.Context) error {
		if err := a.take(c, requestLimit, source.Of(c.Request.Context())); err != nil {
			return err
		}
		return h(c)
	}
}

// attempt is a log-in that was counted as a failed one before it is known whether it is: many at once could pass otherwise.
type attempt struct {
	api     *API
	c       *gin.Context
	source  string
	account string
}

// beginLogin counts a log-in to the account that the address may belong to. Limited where a limit is met. Whether there is such an account
// makes no difference.
func (a *API) beginLogin(c *gin.Context, email string) (attempt, error) {
	return a.beginAttempt(c, source.Of(c.Request.Context()), users.AddressKey(email))
}

// beginAttempt is beginLogin for one who logs in from a source, counted under that name.
func (a *API) beginAttempt(c *gin.Context, from, account string) (attempt, error) {
	try := attempt{api: a, c: c, source: from, account: from + " " + account}
	if err := a.take(c, loginLimit, from); err != nil {
		return try, err
	}
	if err := a.take(c, failedLoginLimit, from); err != nil {
		return try, err
	}
	if err := a.take(c, wrongPasswordLimit, try.account); err != nil {
		a.giveBack(c, failedLoginLimit, from) // no password was looked at
		return try, err
	}
	return try, nil
}

// end says what came of the log-in. Only a password that was looked at and found wrong counts for the account. One that waited in vain to be looked
// at, or whose client left meanwhile, counts for its source: otherwise a flood would go on to fill the queue in which others wait.
func (t attempt) end(err error) {
	if fault.KindOf(err) == fault.Unauthenticated || fault.CodeOf(err) == codeWrongPassword {
		return
	}
	if !errors.Is(err, password.ErrLooked) {
		t.api.giveBack(t.c, wrongPasswordLimit, t.account)
	}
	if _, said := fault.As(err); err == nil || said && fault.CodeOf(err) != codeBusy {
		t.api.giveBack(t.c, failedLoginLimit, t.source)
	}
}

// codeBusy is the code of a password that was not looked at because too many wait.
const codeBusy = "busy"

// codeWrongPassword is the code of a wrong password that a customer with a session gave.
const codeWrongPassword = "wrong_password"

// tellLimit adds to the fields RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10): of the policy the quota q in a window of w
// seconds, and what remains (r) for t seconds.
func tellLimit(h http.Header, name string, rate limit.Rate, v limit.Verdict) {
	h.Add("RateLimit-Policy", fmt.Sprintf(`"%s";q=%d;w=%d`, name, rate.Burst, seconds(rate.Per)))
	wait := v.ResetAfter
	if !v.Allowed {
		wait = v.RetryAfter
	}
	h.Add("RateLimit", fmt.Sprintf(`"%s";r=%d;t=%d`, name, v.Remaining, seconds(wait)))
}

// retryAfter sets Retry-After (RFC 9110, section 10.2.3): whole seconds, at least one.
func retryAfter(h http.Header, wait time.Duration) {
	h.Set("Retry-After", strconv.Itoa(max(1, seconds(wait))))
}

// seconds are whole ones, rounded up.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// limitMetrics count log-ins and the limits that were hit.
type limitMetrics struct {
	logins *prometheus.CounterVec
	hits   *prometheus.CounterVec
}

// What came of a log-in.
const (
	loginRight   = "right"
	loginWrong   = "wrong"
	loginLimited = "limited"
	loginBusy    = "busy"
	loginFailed  = "failed"
)

func newLimitMetrics(reg prometheus.Registerer) limitMetrics {
	m := limitMetrics{
		logins: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderly_logins_total",
			Help: "Log-ins by result: right, wrong (password or address), limited, busy (not hashed in time), failed (anything else).",
		}, []string{"result"})),
		hits: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderly_limits_hit_total", Help: "Requests refused by a limit.",
		}, []string{"limit"})),
	}
	for _, result := range []string{loginRight, loginWrong, loginLimited, loginBusy, loginFailed} {
		m.logins.WithLabelValues(result)
	}
	for _, l := range limits {
		m.hits.WithLabelValues(l.name)
	}
	m.hits.WithLabelValues(openOrdersLimit)
	return m
}

// countLogin counts what came of a log-in.
func (m limitMetrics) countLogin(err error) {
	result := loginFailed
	switch {
	case err == nil:
		result = loginRight
	case fault.KindOf(err) == fault.Limited:
		result = loginLimited
	case fault.KindOf(err) == fault.Unauthenticated:
		result = loginWrong
	case fault.CodeOf(err) == codeBusy || errors.Is(err, context.DeadlineExceeded):
		result = loginBusy
	}
	m.logins.WithLabelValues(result).Inc()
}
