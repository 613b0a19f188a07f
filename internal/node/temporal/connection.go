// Package temporal connects a process to Temporal: to the server outside that TEMPORAL_ADDRESS names, or to a development server that it
// starts. It explains refusals, and prepares the namespace.
package temporal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"

	"example.com/orderly/internal/embedded"
	"example.com/orderly/internal/node/lifecycle"
	"example.com/orderly/internal/system"
	"example.com/orderly/workflows"
)

// Config says which server, and what is done once it is there.
type Config struct {
	// External connects to the server that the TEMPORAL_* variables name; otherwise Run starts a development server.
	External bool
	// Namespace is used in place of the one in the environment; empty for that one.
	Namespace string
	// Prepare makes the namespace of an external server where it is missing and registers our search attributes. Retention is for how long
	// the namespace keeps closed sagas; zero leaves that to PrepareNamespace.
	Prepare   bool
	Retention time.Duration
	// System claims the namespace, and is refused one that serves another; empty to claim nothing.
	System system.ID
	// Dir, Port and UIPort are for the development server.
	Dir          string
	Port, UIPort int
	// OnConnect is given the client before Await returns it; searchable says that the namespace knows our search attributes. It is nil
	// where no sagas are started: then the attributes are not asked for.
	OnConnect func(c client.Client, searchable bool)
	Log       *slog.Logger
	Say       func(line string)
}

// Connection is a process's connection to Temporal: there is none until Run has made it.
type Connection struct {
	cfg       Config
	connected chan struct{}
	polls     polls
	// Set before connected is closed.
	client  client.Client
	options client.Options
	webUI   string
}

// New returns a connection that is not made yet. It does not call the server.
func New(cfg Config) *Connection { return &Connection{cfg: cfg, connected: make(chan struct{})} }

// Await returns the client once there is one, or the error of ctx. Run closes the client.
func (c *Connection) Await(ctx context.Context) (client.Client, error) {
	select {
	case <-c.connected:
		return c.client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// EndPolls lets the workers of this process ask for no more tasks, and waits for the answers that are on their way, so that no task is lost
// when they stop: at most twelve seconds, or one in development. It is called once, before the workers are stopped.
func (c *Connection) EndPolls() { c.polls.end() }

// WebUI is the URL of the development server's web UI once connected; empty with an external server.
func (c *Connection) WebUI() string { return c.webUI }

var errNotConnected = errors.New("not connected to Temporal yet")

// Ping asks the server whether it is well.
func (c *Connection) Ping(ctx context.Context) error {
	select {
	case <-c.connected:
	default:
		return errNotConnected
	}
	_, err := c.client.CheckHealth(ctx, &client.CheckHealthRequest{})
	return err
}

// Explain returns err with the variable to correct where refusal knows one, else err as it is.
func (c *Connection) Explain(err error) error { return cmp.Or(refusal(err, c.options), err) }

// Run connects, after it has started the development server where there is no external one, and keeps the connection until ctx ends. It
// waits for an external server that is not up yet; an error is one that waiting does not mend.
func (c *Connection) Run(ctx context.Context) error {
	if c.cfg.External {
		return c.runExternal(ctx)
	}
	cli, err := embedded.TemporalCLI(ctx, embedded.CLIOptions{Say: c.cfg.Say})
	if err != nil {
		return lifecycle.UnlessStopped(ctx, err)
	}
	server, err := embedded.StartTemporal(ctx, embedded.TemporalConfig{
		CLI: cli, Dir: c.cfg.Dir,
		Port: c.cfg.Port, PortSetting: "ORDERLY_TEMPORAL_PORT", UIPort: c.cfg.UIPort, UIPortSetting: "ORDERLY_TEMPORAL_UI_PORT",
		SearchAttributes: workflows.SearchAttributes(),
	})
	if err != nil {
		return lifecycle.UnlessStopped(ctx, err)
	}
	defer func() { _ = server.Stop(context.WithoutCancel(ctx)) }()
	c.webUI = "http://" + server.UIAddr()
	if err := c.connect(ctx, client.Options{
		HostPort: server.Addr(), Namespace: client.DefaultNamespace, Logger: sdklog.NewStructuredLogger(c.cfg.Log),
	}); err != nil {
		return lifecycle.UnlessStopped(ctx, err)
	}
	defer c.client.Close()
	select {
	case <-ctx.Done():
		return nil
	case <-server.Done():
		return fmt.Errorf("the Temporal server ended by itself; its log is in %s: %w", c.cfg.Dir, server.Err())
	}
}

func (c *Connection) runExternal(ctx context.Context) error {
	options, err := Options(c.cfg.Log)
	if err != nil {
		return err
	}
	options.Namespace = cmp.Or(c.cfg.Namespace, options.Namespace)
	if err := c.connect(ctx, options); err != nil {
		return lifecycle.UnlessStopped(ctx, err)
	}
	defer c.client.Close()
	<-ctx.Done()
	return nil
}

func (c *Connection) connect(ctx context.Context, options client.Options) error {
	if connection := &options.ConnectionOptions; connection.TLS == nil && connection.GrpcCompression == nil {
		// Without TLS the server is in the same network, where compressing costs more than it saves.
		connection.GrpcCompression = &client.GrpcCompressionNone{}
	}
	dialing := &options.ConnectionOptions.DialOptions
	*dialing = append(slices.Clone(*dialing), grpc.WithChainUnaryInterceptor(c.polls.intercept))
	to, err := Dial(ctx, options, c.cfg.Say)
	if err != nil {
		return err
	}
	if err := c.prepare(ctx, to, options); err != nil {
		to.Close()
		return err
	}
	c.polls.setUp(ctx, to, options.Namespace, c.cfg.External && !c.cfg.Prepare)
	c.client, c.options = to, options
	close(c.connected)
	return nil
}

func (c *Connection) prepare(ctx context.Context, to client.Client, options client.Options) error {
	if c.cfg.External && c.cfg.Prepare {
		if err := PrepareNamespace(ctx, to, options.Namespace, c.cfg.Retention, c.cfg.Say); err != nil {
			return err
		}
	}
	if c.cfg.System != "" {
		if err := ClaimNamespace(ctx, to, options, c.cfg.System, c.cfg.Say); err != nil {
			return err
		}
	}
	if c.cfg.OnConnect == nil {
		return nil
	}
	searchable, err := knowsSearchAttributes(ctx, to, options, c.cfg.Say)
	if err != nil {
		return err
	}
	c.cfg.OnConnect(to, searchable)
	return nil
}
