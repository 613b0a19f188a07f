package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"
	"google.golang.org/grpc/codes"

	"example.com/orderly/internal/embedded"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/node/lifecycle"
	"example.com/orderly/workflows"
)

// temporal is the server outside that TEMPORAL_ADDRESS names, or one of our own as a child process.
type temporal struct {
	stack     *stack
	client    atomic.Pointer[client.Client]
	options   client.Options // set before connected is closed
	connected chan struct{}
	// namespace is used in place of the one in the environment; empty for that one.
	namespace string
}

var errNoTemporal = errors.New("not connected to Temporal yet")

func (t *temporal) ping(ctx context.Context) error {
	c := t.client.Load()
	if c == nil {
		return errNoTemporal
	}
	_, err := (*c).CheckHealth(ctx, &client.CheckHealthRequest{})
	return err
}

// run provides Temporal until ctx ends.
func (t *temporal) run(ctx context.Context) error {
	s := t.stack
	if s.cfg.TemporalAddress != "" {
		options, err := temporalOptions()
		if err != nil {
			return err
		}
		options.Namespace = cmp.Or(t.namespace, options.Namespace)
		if err := t.connect(ctx, options); err != nil {
			return lifecycle.UnlessStopped(ctx, err)
		}
		defer (*t.client.Load()).Close()
		<-ctx.Done()
		return nil
	}
	cli, err := embedded.TemporalCLI(ctx, embedded.CLIOptions{Say: s.say})
	if err != nil {
		return lifecycle.UnlessStopped(ctx, err)
	}
	server, err := embedded.StartTemporal(ctx, t.serverConfig(cli))
	if err != nil {
		return lifecycle.UnlessStopped(ctx, err)
	}
	defer func() { _ = server.Stop(context.WithoutCancel(ctx)) }()
	s.temporalUI = "http://" + server.UIAddr()
	if err := t.connect(ctx, client.Options{HostPort: server.Addr(), Namespace: client.DefaultNamespace}); err != nil {
		return lifecycle.UnlessStopped(ctx, err)
	}
	defer (*t.client.Load()).Close()
	select {
	case <-ctx.Done():
		return nil
	case <-server.Done():
		return fmt.Errorf("the Temporal server ended by itself; its log is in %s: %w", s.cfg.Data, server.Err())
	}
}

// temporalOptions are address, namespace, TLS and API key, from the variables every Temporal client knows.
func temporalOptions() (client.Options, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return options, fmt.Errorf("read the TEMPORAL_* variables: %w", err)
	}
	options.Namespace = cmp.Or(options.Namespace, client.DefaultNamespace)
	return options, nil
}

func (t *temporal) serverConfig(cli string) embedded.TemporalConfig {
	port, _ := strconv.Atoi(t.stack.cfg.TemporalPort) // checked with the other settings
	uiPort, _ := strconv.Atoi(t.stack.cfg.TemporalUIPort)
	return embedded.TemporalConfig{
		CLI: cli, Dir: t.stack.cfg.Data,
		Port: port, PortSetting: "ORDERLY_TEMPORAL_PORT", UIPort: uiPort, UIPortSetting: "ORDERLY_TEMPORAL_UI_PORT",
		SearchAttributes: workflows.SearchAttributes(),
	}
}

// connect gives the starter and the workers their client.
func (t *temporal) connect(ctx context.Context, options client.Options) error {
	s := t.stack
	options.Logger = temporalLogger(s.log)
	if connection := &options.ConnectionOptions; connection.TLS == nil && connection.GrpcCompression == nil {
		connection.GrpcCompression = &client.GrpcCompressionNone{} // on a network of one's own, compressing costs more than it saves
	}
	t.options = options
	c, err := dialTemporal(ctx, options, s.say)
	if err != nil {
		return err
	}
	t.client.Store(&c)
	if s.develop && s.cfg.TemporalAddress != "" {
		if err := prepareNamespace(ctx, c, options.Namespace, s.cfg.TemporalRetention, s.say); err != nil {
			return err
		}
	}
	if s.starter != nil {
		searchable, err := t.knowsSearchAttributes(ctx, c)
		if err != nil {
			return err
		}
		s.starter.Connect(c, searchable)
	}
	close(t.connected)
	return nil
}

// temporalLogger has the client write its words where ours go.
func temporalLogger(to *slog.Logger) log.Logger { return log.NewStructuredLogger(to) }

// explained is err with the remedy, where there is a known one.
func (t *temporal) explained(err error) error { return cmp.Or(temporalRefusal(err, t.options), err) }

// dialTemporal waits for a server that is not up yet. What waiting can't mend is an error that names the variable.
func dialTemporal(ctx context.Context, options client.Options, say func(string)) (client.Client, error) {
	for told := false; ; told = true {
		once, cancel := context.WithTimeout(ctx, lifecycle.TryFor)
		c, err := client.DialContext(once, options)
		cancel()
		if err == nil {
			if told {
				say("Found Temporal.")
			}
			return c, nil
		}
		if refused := temporalRefusal(err, options); refused != nil {
			return nil, refused
		}
		if !told {
			say("Waiting for Temporal at " + options.HostPort + " (TEMPORAL_ADDRESS): " + err.Error())
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// knowsSearchAttributes reports whether sagas can be started with our search attributes: an unknown one would make every start fail. The
// answer holds for the life of the process, so a server that gives none is waited for.
func (t *temporal) knowsSearchAttributes(ctx context.Context, c client.Client) (knows bool, err error) {
	say := t.stack.say
	err = lifecycle.WaitFor(ctx, say, "Temporal's namespace at "+t.options.HostPort+" (TEMPORAL_ADDRESS)", func(ctx context.Context) error {
		err := haveSearchAttributes(ctx, c, t.options.Namespace)
		if unanswered(err) {
			return fmt.Errorf("%w: %w", fault.New(fault.Unavailable, "temporal_unavailable", "Temporal does not answer"), err)
		}
		return err
	})
	denied := new(serviceerror.PermissionDenied)
	switch refused := temporalRefusal(err, t.options); {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case refused != nil && !errors.As(err, &denied):
		return false, refused
	}
	say("Sagas run without search attributes: Temporal's namespace (TEMPORAL_NAMESPACE) does not have ours. Run orderly migrate to " +
		"register them, then start this process again. (" + err.Error() + ")")
	return false, nil
}

// unanswered tells an outage of Temporal from an answer.
func unanswered(err error) bool {
	code := serviceerror.ToStatus(err).Code()
	return code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.ResourceExhausted
}

// handshakeRefused is what is left of a TLS error in gRPC's. A handshake that was merely cut off reads otherwise.
var handshakeRefused = regexp.MustCompile(`authentication handshake failed: (remote error: )?(tls|x509): `)

// temporalRefusal explains an answer of Temporal that waiting can't mend; nil for any other error.
func temporalRefusal(err error, options client.Options) error {
	var denied *serviceerror.PermissionDenied
	var unknown *serviceerror.NamespaceNotFound
	switch {
	case errors.As(err, &denied), serviceerror.ToStatus(err).Code() == codes.Unauthenticated:
		return fmt.Errorf("TEMPORAL_API_KEY or the certificate (TEMPORAL_TLS_*): Temporal at %s refuses us: %w", options.HostPort, err)
	case errors.As(err, &unknown):
		return fmt.Errorf("TEMPORAL_NAMESPACE: Temporal at %s has no namespace %q: run orderly migrate, or name another",
			options.HostPort, options.Namespace)
	case err != nil && handshakeRefused.MatchString(err.Error()):
		return fmt.Errorf("TEMPORAL_TLS and TEMPORAL_TLS_*: Temporal at %s and we do not agree on TLS (%w); correct the address, the "+
			"certificates, or whether TLS is used at all", options.HostPort, err)
	}
	return nil
}
