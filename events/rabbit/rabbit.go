// Package rabbit is the transport over RabbitMQ, written for 3.10 and 4.x: a Publisher that the relay hands events to, and a
// Consumer that stores what arrives in the inboxes. It transports and remembers nothing: retries, dead events and order per
// subject are the inbox's.
//
// No connection is repaired: when it ends, what was in flight on it is unknown, and the next one starts from nothing
// (new connection, new channels, topology declared again). An acknowledgement that comes late fails on its own dead channel
// instead of hitting another message of the next one, which is why the client's own recovery stays off.
package rabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.com/orderly/internal/backoff"
	"example.com/orderly/internal/system"
)

// Config says which broker and which part of it. The zero value of everything but URL is what production uses.
type Config struct {
	// URL is amqp://user:password@host:5672/vhost, or amqps:// for TLS with the client's query parameters (cacertfile,
	// certfile, keyfile, server_name_indication).
	URL string
	// Prefix starts the names of the exchange, <Prefix>.events, and of every queue, <Prefix>.<listener's name>. Empty means "orderly".
	// It is that of the system whose events are wanted (ORDERLY_RABBITMQ_PREFIX there); two systems in one vhost need two.
	Prefix string
	// System is the id of the system that the prefix serves: each new connection claims it, and is refused (ErrSetup) where it serves another.
	// Empty claims nothing and asks nothing, which is right for a listener outside the system.
	System system.ID
	// Name is what the broker's own tools show for our connections, such as "orderly api@host"; default Prefix.
	Name string
	// Log default slog.Default().
	Log *slog.Logger
	// DeclareEvery is how often a consumer declares again what its queue needs, such as its bindings; default a minute.
	DeclareEvery time.Duration
}

var (
	// ErrSetup is in every error that waiting cannot mend: a wrong URL, a refused login, a missing vhost or right, a queue that
	// exists with other arguments. Its text names the variable or the queue and the remedy.
	ErrSetup = errors.New("RabbitMQ is not set up for us")
	// ErrReturned means that no queue is bound for the event's type: one was removed, or there is no listener.
	ErrReturned = errors.New("no queue is bound for it")
	// ErrNacked means that the broker could not take the event over, such as a queue without a majority of its replicas.
	ErrNacked = errors.New("the broker refused it")
	// ErrBlocked means that the broker is short of memory or disk and takes no events until that is mended.
	ErrBlocked = errors.New("the broker is out of memory or disk and takes nothing")
	// ErrUnconfirmed means that the outcome is unknown: the event must be published again, and may then arrive twice.
	ErrUnconfirmed = errors.New("not confirmed")

	errClosed = errors.New("the transport has been closed")
)

// Check connects once, claims the prefix, and returns nil, an ErrSetup, or the reason the broker is not there yet.
func Check(ctx context.Context, cfg Config) error {
	s, err := newSettings(cfg)
	if err != nil {
		return err
	}
	opened, err := s.dial(ctx, "check")
	if err != nil {
		return err
	}
	defer opened.close()
	return opened.bounded(ctx, func() error { return s.begin(opened) })
}

// settings is a Config that was checked, with its defaults filled in.
type settings struct {
	Config
	uri amqp.URI
	// where is the broker's address and vhost, for logs and errors; the URL has the password in it.
	where string
	// passive says that we may declare nothing, and only look whether it is there.
	passive bool
}

func newSettings(cfg Config) (settings, error) {
	uri, err := amqp.ParseURI(cfg.URL)
	if err != nil {
		// The parser's own words can quote the password.
		return settings{}, setupError{text: "RABBITMQ_URL is not usable: it must read amqp://user:password@host:5672/vhost " +
			"(amqps:// for TLS), with @ : / ? # % in the user, the password or the vhost written as %40 %3A %2F %3F %23 %25"}
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "orderly"
	}
	if cfg.Name == "" {
		cfg.Name = cfg.Prefix
	}
	if cfg.DeclareEvery <= 0 {
		cfg.DeclareEvery = time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	where := fmt.Sprintf("%s, vhost %q", net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port)), uri.Vhost)
	return settings{Config: cfg, uri: uri, where: where}, nil
}

type setupError struct {
	text  string
	cause error
}

func (e setupError) Error() string        { return e.text }
func (e setupError) Is(target error) bool { return target == ErrSetup }
func (e setupError) Unwrap() error        { return e.cause }

// pause is how long to wait after this many failures in a row.
func pause(failures int) time.Duration {
	return backoff.After(failures, 200*time.Millisecond, 10*time.Second)
}
