package operators

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/source"
)

// Outcomes of one part of a log-in.
const (
	rightPassword   = "password"
	wrongPassword   = "wrong_password"
	expiredPassword = "expired_password"
	factorTOTP      = "totp"
	factorRecovery  = "recovery_code"
	wrongFactor     = "wrong_code"
	heldOff         = "held_off" // after too many wrong codes
)

// Metrics counts log-ins. A nil *Metrics counts nothing.
type Metrics struct{ logins *prometheus.CounterVec }

// NewMetrics registers orderly_operator_logins_total{outcome} with reg, every outcome at zero.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{logins: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "orderly_operator_logins_total",
		Help: "Passwords and second factors that operators have given, by outcome.",
	}, []string{"outcome"})}
	reg.MustRegister(m.logins)
	for _, outcome := range []string{rightPassword, wrongPassword, expiredPassword, factorTOTP, factorRecovery, wrongFactor, heldOff} {
		m.logins.WithLabelValues(outcome)
	}
	return m
}

func (s *Service) succeeded(ctx context.Context, id, what string) {
	s.tell(ctx, slog.LevelInfo, "an operator is logging in", id, what)
}

func (s *Service) failed(ctx context.Context, id, why string) {
	s.tell(ctx, slog.LevelWarn, "a log-in of an operator has failed", id, why)
}

// refused tells of a code that was not looked at after too many wrong ones.
func (s *Service) refused(ctx context.Context, id string, err error) {
	if code := fault.CodeOf(err); code == "too_many_tries" || code == "second_factor_locked" {
		s.failed(ctx, id, heldOff)
	}
}

// tell counts and logs one part of a log-in. id is empty for an address that no operator has; the address itself stays out of the log, since
// people type passwords into its field.
func (s *Service) tell(ctx context.Context, level slog.Level, line, id, outcome string) {
	if s.metrics != nil {
		s.metrics.logins.WithLabelValues(outcome).Inc()
	}
	s.log.Log(context.WithoutCancel(ctx), level, line, "operator_id", id, "source", source.Of(ctx), "outcome", outcome)
}
