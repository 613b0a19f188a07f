package api

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/orderly/internal/source"
)

// exchange is what the edge keeps about one request while it is handled.
type exchange struct {
	requestID string
	path      string
	source    string
	publicURL string
	// ctx ends with the request: its client left, or it was answered.
	ctx   context.Context
	guard *time.Timer

	mu      sync.Mutex
	route   string
	orderID string
	userID  string
	code    string
	err     error
}

type exchangeKey struct{}

func exchangeOf(c *gin.Context) *exchange {
	return c.Request.Context().Value(exchangeKey{}).(*exchange)
}

func (x *exchange) about(orderID string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.orderID = orderID
}

// by notes whose account the request is about.
func (x *exchange) by(userID string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.userID = userID
}

// wait gives the request more time than others have, and a context for what it waits for.
func (x *exchange) wait(patience, after time.Duration) (context.Context, context.CancelFunc) {
	x.guard.Reset(patience + after)
	return context.WithTimeout(x.ctx, patience)
}

// handle lets h run under the request's deadline and turns its error into a problem document.
func (a *API) handle(h func(c *gin.Context) error) gin.HandlerFunc {
	// A little less than the guard has, so that a handler that heeds its context says itself what was missing.
	patience := a.cfg.AnswerWithin * 9 / 10
	return func(c *gin.Context) {
		x := exchangeOf(c)
		x.mu.Lock()
		x.route = c.FullPath()
		x.mu.Unlock()
		ctx, cancel := context.WithTimeout(c.Request.Context(), patience)
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
		err := checkSingle(c.Request.Header)
		if err == nil {
			err = h(c)
		}
		if err != nil {
			x.refuse(c.Writer, failureOf(c.Request.Context(), err), err)
		}
	}
}

// ServeHTTP answers every request within the time it has, with the handler's answer or without: the handler writes to a
// buffer, and one that is stuck (a commit on a dead connection heeds no context) is left behind.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := a.now()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	from := source.OfRequest(r.RemoteAddr, r.Header, a.cfg.TrustedProxies)
	ctx = source.With(ctx, from)
	x := &exchange{
		requestID: requestID(r.Header), path: r.URL.EscapedPath(), publicURL: a.cfg.PublicURL, source: from,
		ctx: ctx, guard: time.NewTimer(a.cfg.AnswerWithin),
	}
	defer x.guard.Stop()

	handled := make(chan *answer, 1)
	go func() {
		given := newAnswer()
		defer func() {
			if value := recover(); value != nil {
				a.log.Error("a handler panicked", "request_id", x.requestID, "panic", value, "stack", string(debug.Stack()))
				given = newAnswer()
				x.refuse(given, failureOf(context.WithoutCancel(ctx), errPanicked), errPanicked)
			}
			handled <- given
		}()
		asked := r.WithContext(context.WithValue(ctx, exchangeKey{}, x))
		if asked.Method == http.MethodHead {
			asked.Method = http.MethodGet // the same headers (RFC 9110, section 9.3.2); net/http leaves the body out
		}
		a.engine.ServeHTTP(given, asked)
	}()

	var given *answer
	select {
	case given = <-handled:
	case <-x.guard.C:
		given = newAnswer()
		x.refuse(given, failureOf(ctx, errTooLate), errTooLate)
	}
	given.header.Set("X-Request-ID", x.requestID)
	if at := given.header.Get("Location"); strings.HasPrefix(at, "/") {
		given.header.Set("Location", pathOf(a.cfg.PublicURL)+at)
	}
	a.share(given.header, r)
	given.send(w)
	a.record(r, x, given.status, a.now().Sub(began))
}

// singleHeaders have one value. Of two, a filter in front of us and we could each believe another.
var singleHeaders = []string{"Authorization", "Content-Type", "Origin"}

func checkSingle(h http.Header) error {
	for _, name := range singleHeaders {
		if len(h[name]) > 1 {
			return &refusal{http.StatusBadRequest, "duplicate_header", "the header " + name + " comes more than once"}
		}
	}
	return nil
}

// pathOf is the path of a URL like https://shop.example/base; empty where it has none.
func pathOf(publicURL string) string {
	_, after, _ := strings.Cut(publicURL, "://")
	_, path, found := strings.Cut(after, "/")
	if !found {
		return ""
	}
	return "/" + path
}

var errPanicked = errors.New("the handler panicked")

// record writes the access log and the metrics. Neither ever holds a path, a header or a body: what a client sends there may be
// a secret. Of the headers only the source is told, which is an address.
func (a *API) record(r *http.Request, x *exchange, status int, took time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	route, method := x.route, r.Method
	if route == "" {
		route = "unmatched"
	}
	if !knownMethods[method] {
		method = "other"
	}
	a.metrics.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	a.metrics.duration.WithLabelValues(route, method).Observe(took.Seconds())

	line := []slog.Attr{
		slog.String("method", method), slog.String("route", route), slog.Int("status", status),
		slog.Duration("duration", took), slog.String("request_id", x.requestID), slog.String("source", x.source),
	}
	if x.orderID != "" {
		line = append(line, slog.String("order_id", x.orderID))
	}
	if x.userID != "" {
		line = append(line, slog.String("account_id", x.userID))
	}
	if x.code != "" {
		line = append(line, slog.String("code", x.code))
	}
	if name, hit := strings.CutPrefix(x.code, limitCodePrefix); hit && status == http.StatusTooManyRequests {
		line = append(line, slog.String("limit", name))
		a.limitMetrics.hits.WithLabelValues(name).Inc()
	}
	level := slog.LevelInfo
	switch {
	case status == http.StatusInternalServerError:
		level = slog.LevelError
	case status >= http.StatusInternalServerError:
		level = slog.LevelWarn
	case !strings.Contains(route, "/v1/"): // health, metrics and documents; the operators' routes have it, too
		level = slog.LevelDebug
	}
	if x.err != nil && status >= http.StatusInternalServerError {
		line = append(line, slog.String("error", x.err.Error()))
	}
	a.log.LogAttrs(context.WithoutCancel(r.Context()), level, "request", line...)
}

var knownMethods = map[string]bool{
	http.MethodGet: true, http.MethodHead: true, http.MethodPost: true, http.MethodPut: true, http.MethodPatch: true,
	http.MethodDelete: true, http.MethodOptions: true,
}

type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) metrics {
	return metrics{
		requests: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderly_http_requests_total", Help: "HTTP requests by route, method and status.",
		}, []string{"route", "method", "status"})),
		duration: registered(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "orderly_http_request_duration_seconds", Help: "Time from a request's headers to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route", "method"})),
	}
}

// registered registers the collector, or returns the one that another port of this process has registered under its name.
func registered[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	err := reg.Register(c)
	if there, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		return there.ExistingCollector.(C)
	}
	if err != nil {
		panic(err) // only for a name or a label that is not well-formed
	}
	return c
}

var requestIDForm = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// requestID takes the caller's id where it is one and fit for a log line.
func requestID(h http.Header) string {
	if ids := h.Values("X-Request-ID"); len(ids) == 1 && requestIDForm.MatchString(ids[0]) {
		return ids[0]
	}
	return uuid.NewString()
}

// answer is a response that is not sent yet.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newAnswer() *answer {
	// Answers are about one customer at one moment, and are what their content type says.
	return &answer{header: http.Header{"Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}}}
}

// Header implements http.ResponseWriter.
func (w *answer) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *answer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *answer) Write(body []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(body)
}

func (w *answer) send(to http.ResponseWriter) {
	w.WriteHeader(http.StatusOK)
	for name, values := range w.header {
		to.Header()[name] = values
	}
	if w.status != http.StatusNoContent && w.status != http.StatusNotModified {
		to.Header().Set("Content-Length", strconv.Itoa(w.body.Len()))
	}
	to.WriteHeader(w.status)
	_, _ = to.Write(w.body.Bytes()) // a client that has left needs no answer
}
