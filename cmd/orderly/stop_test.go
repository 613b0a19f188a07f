package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/node"
	"example.com/orderly/workflows"
)

// terminate is SIGTERM, and requires a clean end.
func (p *process) terminate() { p.signal(syscall.SIGTERM) }

func (p *process) signal(signal os.Signal) {
	p.w.t.Helper()
	require.NoError(p.w.t, p.cmd.Process.Signal(signal))
	p.wait(60 * time.Second)
	require.Equal(p.w.t, 0, p.cmd.ProcessState.ExitCode(), p.printed())
	require.Empty(p.w.t, p.w.processes(), "processes are left behind")
}

// running asks Temporal whether an activity of the order's saga is being attempted.
func (w *world) running(orderID, activity string) bool {
	c, err := client.Dial(client.Options{HostPort: w.temporal(), Logger: quiet()})
	if err != nil {
		return false
	}
	defer c.Close()
	described, err := c.DescribeWorkflowExecution(w.t.Context(), workflows.OrderWorkflowID(orderID), "")
	if err != nil {
		return false
	}
	for _, pending := range described.GetPendingActivities() {
		if pending.GetActivityType().GetName() == activity && pending.GetState() == enums.PENDING_ACTIVITY_STATE_STARTED {
			return true
		}
	}
	return false
}

func (w *world) temporal() string { return w.setting("ORDERLY_TEMPORAL_PORT") }

// dial connects to the Temporal of the world's process, until the test ends.
func (w *world) dial() client.Client {
	w.t.Helper()
	temporal, err := client.Dial(client.Options{HostPort: w.temporal(), Logger: quiet()})
	require.NoError(w.t, err)
	w.t.Cleanup(temporal.Close)
	return temporal
}

// setting is the address of a port that the world has set.
func (w *world) setting(variable string) string {
	for _, set := range w.env {
		if port, ok := strings.CutPrefix(set, variable+"="); ok {
			return net.JoinHostPort("127.0.0.1", port)
		}
	}
	return ""
}

// Both signals stop everything in order and leave no process behind, also while some parts are still starting.
func TestStop(t *testing.T) {
	t.Parallel()
	want := []string{"greeting", "operator", "api", "reconciler", "sweeper", "starter", "workers", "relay", "housekeeping"}
	for _, s := range node.Services {
		if len(s.Listens) > 0 {
			want = append(want, "listeners") // one inbox, however many listeners it has
		}
	}
	want = append(want, "sandbox provider", "temporal")
	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.env = append(w.env, "ORDERLY_LOG_LEVEL=debug")
			p := w.start()
			p.signal(signal)
			var stopped []string
			for line := range strings.Lines(p.printed()) {
				if _, part, ok := strings.Cut(strings.TrimSpace(line), "msg=stopping part="); ok {
					stopped = append(stopped, strings.Trim(part, `"`))
				}
			}
			require.Equal(t, want, stopped)
		})
	}
	t.Run("before it is ready", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		p := w.launch("dev", "--data", w.data)
		require.Contains(t, <-p.lines, "API")
		p.terminate()
	})
}

// SIGTERM under load: every request that was accepted gets an answer, and what was accepted ends after the next start.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start()
	s := w.customer()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var accepted sync.Map
	var count atomic.Int64
	failures := make(chan error, 8)
	var clients sync.WaitGroup
	for n := range 8 {
		clients.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				order, err := s.Place(ctx, fmt.Sprintf("load-%d-%d", n, i), []demo.Line{{SKU: "MUG-BLUE", Quantity: 1}}, "pm_card_visa")
				if err != nil {
					failures <- err // the first failure ends this client; it must be a closed door and nothing else
					return
				}
				accepted.Store(order.ID, true)
				count.Add(1)
			}
		})
	}
	eventually(t, time.Minute, "the load does not come up", func() bool { return count.Load() >= 40 })
	p.terminate()
	clients.Wait()
	close(failures)
	for err := range failures {
		require.ErrorIs(t, err, syscall.ECONNREFUSED, "a request that was let in got no answer")
	}

	w.start()
	accepted.Range(func(id, _ any) bool {
		eventually(t, time.Minute, "an accepted order has not ended", func() bool {
			order, err := s.Order(t.Context(), id.(string))
			return err == nil && order.State == "completed"
		})
		return true
	})
	t.Logf("%d orders accepted, all completed", count.Load())
}

// What the user can mend is one clear line that names it, and exit code 1.
func TestRefusals(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)

	for name, c := range map[string]struct {
		set  string
		says []string
	}{
		"the API's port is taken":      {"ORDERLY_API_ADDR=127.0.0.1:" + port, []string{"127.0.0.1:" + port, "ORDERLY_API_ADDR"}},
		"the sandbox's port is taken":  {"ORDERLY_SANDBOX_ADDR=127.0.0.1:" + port, []string{"127.0.0.1:" + port, "ORDERLY_SANDBOX_ADDR"}},
		"Temporal's port is taken":     {"ORDERLY_TEMPORAL_PORT=" + port, []string{port, "ORDERLY_TEMPORAL_PORT"}},
		"the web UI's port is taken":   {"ORDERLY_TEMPORAL_UI_PORT=" + port, []string{port, "ORDERLY_TEMPORAL_UI_PORT"}},
		"a port is no number":          {"ORDERLY_TEMPORAL_PORT=seven", []string{"ORDERLY_TEMPORAL_PORT", `"seven"`}},
		"an address has no port":       {"ORDERLY_API_ADDR=localhost", []string{"ORDERLY_API_ADDR", "host:port"}},
		"a URL has the wrong scheme":   {"DATABASE_URL=mysql://u:secret@h/db", []string{"DATABASE_URL", "postgres://"}},
		"a service's URL is wrong":     {"ORDERS_DATABASE_URL=mysql://u:secret@h/db", []string{"ORDERS_DATABASE_URL", "postgres://"}},
		"Redis has the wrong scheme":   {"REDIS_URL=http://h", []string{"REDIS_URL", "redis://"}},
		"SMTP has the wrong scheme":    {"SMTP_URL=mail.example.com:25", []string{"SMTP_URL", "smtp://"}},
		"the provider is no URL":       {"STRIPE_API_URL=stripe", []string{"STRIPE_API_URL", "https://"}},
		"the log level does not exist": {"ORDERLY_LOG_LEVEL=loud", []string{"ORDERLY_LOG_LEVEL", `"loud"`}},
		"the log format is unknown":    {"ORDERLY_LOG_FORMAT=xml", []string{"ORDERLY_LOG_FORMAT", `"xml"`}},
		"the CLI does not exist":       {"TEMPORAL_CLI=/nowhere/temporal", []string{"TEMPORAL_CLI", "/nowhere/temporal"}},
		"the broker is no broker":      {"RABBITMQ_URL=http://guest:secret@h", []string{"RABBITMQ_URL", "amqp://"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.env = append(w.env, c.set)
			p := w.launch("dev", "--data", w.data)
			p.wait(time.Minute)
			require.Equal(t, 1, p.cmd.ProcessState.ExitCode(), p.printed())
			_, complaint, found := strings.Cut(p.printed(), "orderly: ")
			require.True(t, found, p.printed())
			require.Equal(t, 1, strings.Count(complaint, "\n"), "more than one line: %s", p.printed())
			for _, said := range c.says {
				require.Contains(t, complaint, said)
			}
			require.NotContains(t, p.printed(), "secret")
		})
	}

	t.Run("the data folder is in use", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.start()
		second := w.launch("dev", "--data", w.data)
		second.wait(time.Minute)
		require.Equal(t, 1, second.cmd.ProcessState.ExitCode())
		require.Contains(t, second.printed(), "--data")
	})
}
