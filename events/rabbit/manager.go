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

// manager opens a connection when it is needed, and a new one after its end. One goroutine dials, the others wait.
type manager struct {
	settings
	role string
	// prepare makes a new connection ready for use; nil where there is nothing to do.
	prepare func(ctx context.Context, conn *connection) error
	opened  prometheus.Counter

	turn      chan struct{} // a lock on the fields below that a context can give up waiting for
	current   *connection
	closed    bool
	failures  int
	notBefore time.Time
	lastErr   error
}

func newManager(s settings, role string, prepare func(context.Context, *connection) error) *manager {
	return &manager{
		settings: s, role: role, prepare: prepare, turn: make(chan struct{}, 1),
		opened: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "orderly_rabbit_epochs_total", Help: "Connections opened to RabbitMQ; more than one is a reconnect.",
			ConstLabels: prometheus.Labels{"role": role},
		}),
	}
}

// get returns the connection that is up, or opens one. It tries again, with back-off, for as long as patience lasts, and finishes an
// attempt that it has begun by then. It returns at once when ctx ends or with an ErrSetup.
func (m *manager) get(ctx context.Context, patience time.Duration) (*connection, error) {
	began := time.Now()
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-time.After(patience):
		return nil, fmt.Errorf("still waiting for RabbitMQ at %s", m.where)
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for RabbitMQ at %s: %w", m.where, ctx.Err())
	}
	if m.closed {
		return nil, errClosed
	}
	if m.current != nil {
		if !m.current.ended() {
			return m.current, nil
		}
		m.Log.Warn("the connection to RabbitMQ has ended", "role", m.role, "error", m.current.why())
		m.current = nil
	}
	for {
		wait := time.Until(m.notBefore)
		if wait > 0 && (time.Since(began)+wait > patience || !backoff.Wait(ctx, wait, nil)) {
			return nil, m.lastErr
		}
		conn, err := m.open(ctx)
		if err == nil {
			return conn, nil
		}
		if expired(ctx) {
			// The caller's context ended, which says nothing about the broker: the next caller must not wait for a back-off.
			return nil, err
		}
		m.fail(err)
		if errors.Is(err, ErrSetup) {
			return nil, err
		}
	}
}

// expired reports whether ctx has ended, or its deadline has passed: a socket with that deadline can fail a moment before ctx ends.
func expired(ctx context.Context) bool {
	deadline, bounded := ctx.Deadline()
	return ctx.Err() != nil || bounded && !time.Now().Before(deadline)
}

func (m *manager) open(ctx context.Context) (*connection, error) {
	conn, err := m.dial(ctx, m.role)
	if err != nil {
		return nil, err
	}
	// On each new connection: a broker that lost its disk is claimed anew, by the first to come.
	if err := conn.bounded(ctx, func() error { return m.ready(ctx, conn) }); err != nil {
		conn.close()
		return nil, err
	}
	if m.failures > 0 {
		m.Log.Info("connected to RabbitMQ", "role", m.role, "at", m.where)
	}
	m.opened.Inc()
	m.current, m.failures, m.notBefore, m.lastErr = conn, 0, time.Time{}, nil
	return conn, nil
}

// ready claims the prefix and prepares the connection.
func (m *manager) ready(ctx context.Context, conn *connection) error {
	if err := m.begin(conn); err != nil || m.prepare == nil {
		return err
	}
	return m.prepare(ctx, conn)
}

// fail counts a failed attempt, and logs the first one, and the first that waiting cannot mend.
func (m *manager) fail(err error) {
	setup := errors.Is(err, ErrSetup)
	switch {
	case setup && !errors.Is(m.lastErr, ErrSetup):
		m.Log.Log(context.Background(), slog.LevelError, "RabbitMQ needs an operator", "role", m.role, "error", err)
	case !setup && m.failures == 0:
		m.Log.Warn("waiting for RabbitMQ", "role", m.role, "error", err)
	}
	m.failures++
	m.notBefore = time.Now().Add(pause(m.failures))
	m.lastErr = err
}

// close ends the connection by AMQP's handshake; no other is opened.
func (m *manager) close() {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	m.closed = true
	if m.current != nil {
		m.current.close()
	}
}
