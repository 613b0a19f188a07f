package rabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/orderly/internal/backoff"
)

// link is a connection that is opened when it is needed and opened anew after its end. One goroutine dials, the others wait.
type link struct {
	settings
	role string
	// prepare makes a new session ready for use; nil where there is nothing to do.
	prepare func(ctx context.Context, s *session) error
	epochs  prometheus.Counter

	turn      chan struct{} // held by whoever reads or changes what is below
	current   *session
	closed    bool
	failures  int
	notBefore time.Time
	last      error
}

func newLink(s settings, role string, prepare func(context.Context, *session) error) *link {
	return &link{
		settings: s, role: role, prepare: prepare, turn: make(chan struct{}, 1),
		epochs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "orderly_rabbit_epochs_total", Help: "Connections opened to RabbitMQ; more than one is a reconnect.",
			ConstLabels: prometheus.Labels{"role": role},
		}),
	}
}

// session returns the connection that is up, or opens one. It tries again, with back-off, for as long as patience lasts; an
// attempt that has begun then is finished. It returns at once when ctx ends or with an ErrSetup.
func (l *link) session(ctx context.Context, patience time.Duration) (*session, error) {
	began := time.Now()
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-time.After(patience):
		return nil, fmt.Errorf("still waiting for RabbitMQ at %s", l.where)
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for RabbitMQ at %s: %w", l.where, ctx.Err())
	}
	if l.closed {
		return nil, errClosed
	}
	if l.current != nil {
		if !l.current.ended() {
			return l.current, nil
		}
		l.Log.Warn("the connection to RabbitMQ has ended", "role", l.role, "error", l.current.why())
		l.current = nil
	}
	for {
		wait := time.Until(l.notBefore)
		if wait > 0 && (time.Since(began)+wait > patience || !backoff.Wait(ctx, wait, nil)) {
			return nil, l.last
		}
		s, err := l.open(ctx)
		if err == nil {
			return s, nil
		}
		if over(ctx) {
			// Whoever asked was in a hurry, which says nothing about the broker: the next one must not have to wait for it.
			return nil, err
		}
		l.fail(err)
		if errors.Is(err, ErrSetup) {
			return nil, err
		}
	}
}

// over reports that ctx has ended. A socket with its deadline can be a moment ahead of it.
func over(ctx context.Context) bool {
	deadline, bounded := ctx.Deadline()
	return ctx.Err() != nil || bounded && !time.Now().Before(deadline)
}

func (l *link) open(ctx context.Context) (*session, error) {
	s, err := l.dial(ctx, l.role)
	if err != nil {
		return nil, err
	}
	if l.prepare != nil {
		if err := s.bounded(ctx, func() error { return l.prepare(ctx, s) }); err != nil {
			s.close()
			return nil, err
		}
	}
	if l.failures > 0 {
		l.Log.Info("connected to RabbitMQ", "role", l.role, "at", l.where)
	}
	l.epochs.Inc()
	l.current, l.failures, l.notBefore, l.last = s, 0, time.Time{}, nil
	return s, nil
}

// fail notes a failed attempt and speaks of it once, and again when it turns into something that somebody must mend.
func (l *link) fail(err error) {
	setup := errors.Is(err, ErrSetup)
	switch {
	case setup && !errors.Is(l.last, ErrSetup):
		l.Log.Log(context.Background(), slog.LevelError, "RabbitMQ needs somebody's help", "role", l.role, "error", err)
	case !setup && l.failures == 0:
		l.Log.Warn("waiting for RabbitMQ", "role", l.role, "error", err)
	}
	l.failures++
	l.notBefore = time.Now().Add(pause(l.failures))
	l.last = err
}

// close ends the connection in order; no other is opened.
func (l *link) close() {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	l.closed = true
	if l.current != nil {
		l.current.close()
	}
}
