package rabbit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	dialTimeout      = 3 * time.Second
	handshakeTimeout = 10 * time.Second
	closeTimeout     = 3 * time.Second
	// heartbeat is the broker's interval; a peer that is silent for half as much again is taken for dead.
	heartbeat = 10 * time.Second
)

// connection is one connection to the broker, from dial to its end. It is never repaired.
type connection struct {
	amqp   *amqp.Connection
	socket net.Conn
	// done is closed when the connection has ended, by either side.
	done chan struct{}
	// looks says that our user may declare nothing, so that exchanges and queues must be there; see settings.begin.
	looks bool
	// free are the publisher's channels that no batch uses; nil on the consumer's side.
	free chan *confirmChannel

	lock   sync.Mutex
	reason error
	// unblocked is nil, except while the broker blocks the connection: then it is a channel that is closed when the broker stops.
	unblocked chan struct{}
}

// dial opens a connection. The error is an ErrSetup where the broker has said that trying again would not help.
func (c settings) dial(ctx context.Context, role string) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(c.Name + " " + role)
	var socket net.Conn
	config := amqp.Config{
		Heartbeat: heartbeat, Properties: properties,
		Dial: func(network, addr string) (net.Conn, error) {
			var err error
			if socket, err = (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, addr); err != nil {
				return nil, err
			}
			deadline, _ := ctx.Deadline() // lifted by the client when the handshake is done
			return socket, socket.SetDeadline(deadline)
		},
	}
	if c.uri.AuthMechanism == nil {
		config.SASL = []amqp.Authentication{login{user: c.uri.Username, password: c.uri.Password, properties: properties}}
	}
	conn, err := amqp.DialConfig(c.URL, config)
	if err != nil {
		if socket != nil {
			_ = socket.Close() // the client leaves it open after some refusals
		}
		return nil, c.explain(err)
	}
	opened := &connection{amqp: conn, socket: socket, done: make(chan struct{})}
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 8))
	go opened.watch(closed, blocked)
	return opened, nil
}

// login is SASL PLAIN that asks the broker to say so when it refuses the login. Without this capability, which the client does not
// announce, a refusal is a connection dropped after three seconds, like that of a broker that is going down.
type login struct {
	user, password string
	properties     amqp.Table
}

func (login) Mechanism() string { return "PLAIN" }

func (l login) Response() string {
	// The client has put its own list into the properties just before it asks for this.
	if capabilities, ok := l.properties["capabilities"].(amqp.Table); ok {
		capabilities["authentication_failure_close"] = true
	}
	return "\x00" + l.user + "\x00" + l.password
}

// explain turns the client's error into one line for an operator, without the password.
func (c settings) explain(err error) error {
	var broker *amqp.Error
	var header tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var file *fs.PathError
	fromBroker := errors.As(err, &broker) && broker.Server
	setup := func(format string, args ...any) error {
		return setupError{text: fmt.Sprintf("RABBITMQ_URL: RabbitMQ at %s ", c.where) + fmt.Sprintf(format, args...), cause: err}
	}
	switch {
	case fromBroker && broker.Code == amqp.AccessRefused:
		return setup("refuses the login of user %q (%s); correct user and password, or make the user with rabbitmqctl add_user "+
			"(guest may log in only from the broker's own machine)", c.uri.Username, broker.Reason)
	case fromBroker && broker.Code == amqp.NotAllowed && !strings.Contains(broker.Reason, "limit"):
		return setup("does not let user %q into the vhost (%s); correct the path of the URL, or run rabbitmqctl add_vhost %[3]s "+
			"and rabbitmqctl set_permissions -p %[3]s %[4]s '.*' '.*' '.*'", c.uri.Username, broker.Reason, c.uri.Vhost, c.uri.Username)
	case errors.As(err, &header):
		return setup("does not speak TLS on this port; write amqp:// instead of amqps://, or use the TLS port (5671)")
	case errors.As(err, &certificate), errors.As(err, &authority):
		return setup("shows a certificate that is not trusted (%v); add ?cacertfile=... or correct the host", err)
	case errors.As(err, &file):
		return setup("cannot be reached by TLS: %v", err)
	case errors.Is(err, amqp.ErrCredentials), errors.Is(err, amqp.ErrVhost):
		err = errors.New("it dropped the connection during the handshake")
	}
	return fmt.Errorf("connect to RabbitMQ at %s (RABBITMQ_URL): %w", c.where, err)
}

func (c *connection) watch(closed <-chan *amqp.Error, blocked <-chan amqp.Blocking) {
	for {
		select {
		case err := <-closed: // nil when we closed it ourselves
			c.lock.Lock()
			if err != nil {
				c.reason = err
			}
			c.lock.Unlock()
			close(c.done)
			return
		case b, ok := <-blocked:
			if !ok {
				blocked = nil
				continue
			}
			c.setBlocked(b.Active)
		}
	}
}

func (c *connection) setBlocked(active bool) {
	c.lock.Lock()
	defer c.lock.Unlock()
	switch {
	case active && c.unblocked == nil:
		c.unblocked = make(chan struct{})
	case !active && c.unblocked != nil:
		close(c.unblocked)
		c.unblocked = nil
	}
}

// blockedUntil returns nil, or, while the broker blocks the connection, a channel that is closed when it takes messages again.
func (c *connection) blockedUntil() <-chan struct{} {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.unblocked
}

func (c *connection) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// why is the reason the connection ended.
func (c *connection) why() error {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.reason == nil {
		return errors.New("the connection was closed")
	}
	return c.reason
}

// kill ends the connection at once, also under a call that hangs in the socket. The client's CloseDeadline would not: every
// heartbeat that still arrives moves its deadline.
func (c *connection) kill() { _ = c.socket.Close() }

// close ends the connection by AMQP's handshake, within closeTimeout.
func (c *connection) close() {
	hard := time.AfterFunc(closeTimeout, c.kill)
	defer hard.Stop()
	_ = c.amqp.Close()
	<-c.done
}

// bounded runs calls that know no context; when ctx ends first, the connection is killed and they return.
func (c *connection) bounded(ctx context.Context, calls func() error) error {
	stop := context.AfterFunc(ctx, c.kill)
	err := calls()
	if !stop() && ctx.Err() != nil && err != nil {
		return fmt.Errorf("RabbitMQ did not answer in time: %w", context.Cause(ctx))
	}
	return err
}
