package notifications

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// alarming is how many mails in a row that are not taken are no longer chance: not one customer's full mailbox, since attempts at the same
	// mail count once.
	alarming = 5
	// maxCounted bounds what is remembered of an outage.
	maxCounted = 1000
	// operatorPause is how often the log repeats that a person is needed. Each failed attempt has a line of the inbox anyway.
	operatorPause = 10 * time.Minute
)

// Metrics shows how mails leave. A nil *Metrics shows nothing.
type Metrics struct {
	attempts *prometheus.CounterVec
	failing  prometheus.Gauge
}

// NewMetrics registers orderly_mail_attempts_total{outcome} with reg, every outcome at zero, and orderly_mails_failing.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderly_mail_attempts_total", Help: "Attempts of this process to hand over a mail, by what became of them.",
		}, []string{"outcome"}),
		failing: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "orderly_mails_failing", Help: "Mails that this process has tried since one was last taken, and that were not; at most 1000.",
		}),
	}
	reg.MustRegister(m.attempts, m.failing)
	for _, outcome := range []Outcome{Taken, Recipient, Later, Operator} {
		m.attempts.WithLabelValues(string(outcome))
	}
	return m
}

func (m *Metrics) show(outcome Outcome, failing int) {
	if m != nil {
		m.attempts.WithLabelValues(string(outcome)).Inc()
		m.failing.Set(float64(failing))
	}
}

// watch notices when no mail gets through and when a person is needed.
type watch struct {
	log     *slog.Logger
	now     func() time.Time
	metrics *Metrics

	lock    sync.Mutex
	failing map[string]bool // by event: mails that were tried since one was last taken
	last    error
	told    time.Time // when the log last said that a person is needed
}

// saw takes what became of an attempt at the mail about an event.
func (w *watch) saw(ctx context.Context, eventID string, err error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if err == nil {
		if len(w.failing) >= alarming {
			w.log.InfoContext(ctx, "mails get through again")
		}
		w.failing, w.last, w.told = map[string]bool{}, nil, time.Time{}
		w.metrics.show(Taken, 0)
		return
	}
	if errors.Is(err, context.Canceled) {
		return // the process stops
	}
	outcome := Later
	if failure, known := errors.AsType[*Failure](err); known {
		outcome = failure.Outcome
	}
	before := len(w.failing)
	if before < maxCounted {
		w.failing[eventID] = true
	}
	w.last = err
	w.metrics.show(outcome, len(w.failing))
	if outcome == Operator && w.now().Sub(w.told) >= operatorPause {
		w.told = w.now()
		w.log.WarnContext(ctx, "the mail server needs an operator, mails wait", "error", err)
	}
	if before < alarming && len(w.failing) >= alarming {
		w.log.WarnContext(ctx, "no mail gets through", "mails", len(w.failing), "error", err)
	}
}

// Ping returns why mails are not taken, once no mail gets through: five in a row were tried in this process and none was taken.
func (s *Service) Ping(context.Context) error {
	s.watch.lock.Lock()
	defer s.watch.lock.Unlock()
	if len(s.watch.failing) < alarming {
		return nil
	}
	return fmt.Errorf("%d mails in a row were not taken: %w", len(s.watch.failing), s.watch.last)
}
