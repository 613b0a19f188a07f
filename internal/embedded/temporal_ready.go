package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"example.com/orderly/internal/searchattr"
)

// awaitReady returns when a workflow with every search attribute could be started, or the reason why that will not be.
func (t *Temporal) awaitReady(ctx context.Context, cfg TemporalConfig) error {
	for _, addr := range []string{t.addr, t.uiAddr} {
		if addr == "" {
			continue
		}
		// A gRPC client that dials too early pauses for a second before it tries again.
		if err := t.until(ctx, func() error { return listens(ctx, addr) }); err != nil {
			return err
		}
	}
	var c client.Client
	err := t.until(ctx, func() (err error) {
		c, err = client.DialContext(ctx, client.Options{HostPort: t.addr, Namespace: cfg.Namespace, Logger: silent})
		return err
	})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := t.until(ctx, func() error { return usable(ctx, c, cfg.Namespace) }); err != nil {
		return err
	}
	return t.registerSearchAttributes(ctx, c, cfg)
}

// until repeats the attempt until it succeeds. It ends early when the server has ended.
func (t *Temporal) until(ctx context.Context, attempt func() error) error {
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		err := attempt()
		if err == nil {
			return nil
		}
		select {
		case <-t.done:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-retry.C:
		}
	}
}

func listens(ctx context.Context, addr string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// usable asks the frontend for the namespace and the history service for a workflow that is not there: only a history
// service that owns its shard knows that.
func usable(ctx context.Context, c client.Client, namespace string) error {
	_, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if err != nil {
		return err
	}
	_, err = c.DescribeWorkflowExecution(ctx, "is-the-server-ready", "")
	if errors.As(err, new(*serviceerror.NotFound)) {
		return nil
	}
	return err
}

// registerSearchAttributes adds those that a database made by an earlier version lacks (the server's own option applies
// only to a new one) and waits until queries accept all of them.
func (t *Temporal) registerSearchAttributes(ctx context.Context, c client.Client, cfg TemporalConfig) error {
	if len(cfg.SearchAttributes) == 0 {
		return nil
	}
	missing, err := searchattr.Missing(ctx, c, cfg.Namespace, cfg.SearchAttributes)
	if err == nil && len(missing) > 0 {
		err = searchattr.Add(ctx, c, cfg.Namespace, missing)
	}
	if err != nil {
		return fmt.Errorf("register search attributes: %w", err)
	}
	return t.until(ctx, func() error { return searchattr.Query(ctx, c, cfg.Namespace, cfg.SearchAttributes) })
}
