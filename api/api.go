// Package api is the HTTP API. It decides what a request looks like and which status a failure has; the services decide what may be
// ordered, by whom and at what price.
package api

import (
	"context"
	"log/slog"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/orderly/events"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/limit"
	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/source"
	"example.com/orderly/internal/users"
)

func init() {
	// Gin's mode is a global of the process, and no other package of the product uses gin. In its debug mode gin prints to stdout, which
	// is for the output of `orderly dev` and `orderly demo --json`.
	gin.SetMode(gin.ReleaseMode)
}

// Config is what the API needs. Orders, Stock, Users and the four functions are required; the rest works at its zero value.
type Config struct {
	Orders *orders.Service
	Stock  *inventory.Service
	Users  *users.Cache

	// Timeline is the journal's Events: the events about an order. When it fails, the order is shown without them.
	Timeline func(ctx context.Context, orderID string) ([]events.Event, error)
	// Mails is that of the notifications: the mails about an order. When it fails, the order is shown without them.
	Mails func(ctx context.Context, orderID string) ([]notifications.Sent, error)
	// CheckMethod asks the payment provider whether it knows a payment method. A final error (fault.Final) refuses the order. With
	// any other, or after a second, the order is accepted and its saga finds out.
	CheckMethod func(ctx context.Context, id string) error
	// StartSaga starts the saga of an order that was just committed. It may fail: the sweep starts what is left.
	StartSaga func(ctx context.Context, order orders.Order) error
	// AwaitEnd returns when the order has ended or ctx has. The order is read from the database after either.
	AwaitEnd func(ctx context.Context, orderID string) error

	// HealthElsewhere leaves /healthz, /readyz and /metrics to another port, that of NewHealth.
	HealthElsewhere bool
	// Ready are the databases this process owns: one that is down makes /readyz a 503.
	Ready []Check
	// Degraded are the things it can do without for a while: one that is down is listed, and /readyz stays 200.
	Degraded []Check

	// Limits are the rates and numbers that requests are held to. Limiter counts for them; it is required where one is set.
	Limits  Limits
	Limiter *limit.Limiter

	// TrustedProxies are those of which X-Forwarded-For or Forwarded is believed (source.OfRequest). None is, where it is empty.
	TrustedProxies source.Networks

	// PublicURL is where clients reach the API, such as https://shop.example/base, without a slash at its end. Types of problems begin with it,
	// and the paths in Location with its path: a proxy cuts that off. Empty where clients reach the process at / of any name.
	PublicURL string
	// CORSOrigins are the origins whose pages browsers let read answers, such as https://shop.example.
	CORSOrigins []string

	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer
	Logger     *slog.Logger
	Now        func() time.Time
	// AnswerWithin is the longest a request without Prefer: wait takes; 5 s if zero.
	AnswerWithin time.Duration
}

// answerWithin is the longest a request takes that does not ask to wait.
const answerWithin = 5 * time.Second

// API is the http.Handler of all routes. Safe for concurrent use.
type API struct {
	cfg     Config
	log     *slog.Logger
	now     func() time.Time
	engine  *gin.Engine
	metrics metrics
	// problems have a page each.
	problems     []problemType
	limitMetrics limitMetrics
	// draining ends when the server begins to shut down.
	draining context.Context
	drain    context.CancelFunc
}

// New returns the API. It makes no call.
func New(cfg Config) *API {
	a := newEdge(cfg)
	if !cfg.HealthElsewhere {
		a.addHealth()
	}
	a.addRoutes()
	return a
}

// NewHealth returns the part of the API that a process with any role has: /healthz, /readyz and /metrics. It uses the fields of cfg
// that these need.
func NewHealth(cfg Config) *API {
	a := newEdge(cfg)
	a.addHealth()
	return a
}

// newEdge returns an API without routes.
func newEdge(cfg Config) *API {
	if cfg.AnswerWithin == 0 {
		cfg.AnswerWithin = answerWithin
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Gatherer == nil {
		cfg.Gatherer = prometheus.DefaultGatherer
	}
	a := &API{cfg: cfg, log: cfg.Logger, now: cfg.Now, engine: gin.New(), metrics: newMetrics(cfg.Registerer), problems: problemTypes}
	a.limitMetrics = newLimitMetrics(cfg.Registerer)
	a.draining, a.drain = context.WithCancel(context.Background())
	// The error only reports addresses that cannot be read, and there are none: gin is not asked who is calling, internal/source is.
	_ = a.engine.SetTrustedProxies(nil)
	a.engine.HandleMethodNotAllowed = true
	a.engine.RedirectTrailingSlash = false
	// A filter in front of us sees the path as it was sent. What it lets through must not become another path here.
	a.engine.UseEscapedPath, a.engine.UnescapePathValues = true, false
	a.engine.NoRoute(a.handle(a.limitRequests(unknownRoute)))
	a.engine.NoMethod(a.handle(a.limitRequests(otherMethod)))
	return a
}

func (a *API) addHealth() {
	metrics := promhttp.HandlerFor(a.cfg.Gatherer, promhttp.HandlerOpts{})
	a.engine.GET("/healthz", a.handle(healthz))
	a.engine.GET("/readyz", a.handle(a.readyz))
	a.engine.GET("/metrics", a.handle(func(c *gin.Context) error {
		metrics.ServeHTTP(c.Writer, c.Request)
		return nil
	}))
}
