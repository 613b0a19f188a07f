package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"example.com/orderly/activities"
	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/node"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/workflows"
)

// deployment is the six processes of the system on one machine, on real parts of its own.
type deployment struct {
	*world
	parts   realParts
	health  map[string]string
	running map[string]*process
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	return newDeploymentOn(t, newRealParts(t))
}

// newDeploymentOn prepares everything with orderly migrate. change may replace variables, such as an address by that of a proxy.
func newDeploymentOn(t *testing.T, parts realParts, change ...string) *deployment {
	t.Helper()
	server := testenv.Temporal(t, workflows.SearchAttributes())
	d := &deployment{world: newWorld(t), parts: parts, health: map[string]string{}, running: map[string]*process{}}
	d.env = append(d.env, parts.env()...)
	d.env = append(d.env, "TEMPORAL_ADDRESS="+server, "TEMPORAL_NAMESPACE="+parts.prefix, "STRIPE_API_URL=http://"+d.book,
		"ORDERLY_DATA="+d.data, "ORDERLY_PRODUCTS=demo")
	d.env = append(d.env, change...)
	for i, port := range freePorts(t, len(node.AllRoles())) {
		d.health[node.AllRoles()[i].Name] = "127.0.0.1:" + port
	}
	said, code := d.command("migrate")
	require.Zero(t, code, said)
	return d
}

// command runs the program to its end.
func (w *world) command(args ...string) (said string, code int) {
	w.t.Helper()
	p := w.launch(args...)
	p.wait(2 * time.Minute)
	return p.printed(), p.cmd.ProcessState.ExitCode()
}

// start starts processes, a role or the sandbox each, and waits until they work.
func (d *deployment) start(names ...string) {
	d.t.Helper()
	for _, name := range names {
		if name == "sandbox" {
			d.running[name] = d.launch("sandbox")
			continue
		}
		own := *d.world
		own.env = append(append([]string{}, d.env...), "ORDERLY_HEALTH_ADDR="+d.health[name])
		d.running[name] = own.launch("serve", name)
	}
	for _, name := range names {
		said := map[bool]string{true: "Sandbox ", false: "msg=ready"}[name == "sandbox"]
		eventually(d.t, time.Minute, name+" does not come up", func() bool {
			select {
			case <-d.running[name].ended:
				require.Fail(d.t, name+" has ended", d.running[name].printed())
			default:
			}
			return strings.Contains(d.running[name].printed(), said)
		})
	}
}

func (d *deployment) startAll() { d.start(append(node.AllRoles().Names(), "sandbox")...) }

// kill is kill -9.
func (d *deployment) kill(name string) {
	d.t.Helper()
	require.NoError(d.t, d.running[name].cmd.Process.Signal(syscall.SIGKILL))
	d.running[name].wait(10 * time.Second)
}

// stop is SIGTERM, and requires a clean end.
func (d *deployment) stop(names ...string) {
	d.t.Helper()
	for _, name := range names {
		require.NoError(d.t, d.running[name].cmd.Process.Signal(syscall.SIGTERM))
	}
	for _, name := range names {
		p := d.running[name]
		p.wait(time.Minute)
		require.Equal(d.t, 0, p.cmd.ProcessState.ExitCode(), p.printed())
	}
}

// Each role is stopped for a while: what the others do goes on, and its own part is made up for afterwards.
func TestRolesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.startAll()
	d.demo()
	for _, name := range append(node.AllRoles().Names(), "sandbox") {
		own := *d.world
		own.env = append(append([]string{}, d.env...), "ORDERLY_HEALTH_ADDR="+d.health[name])
		said, code := own.command("healthcheck", name)
		require.Zero(t, code, "%s: %s", name, said)
	}
	s := d.customer()

	d.stop("orders")
	waiting := d.place(s, "pm_card_visa")
	require.Equal(t, "pending", waiting.State)
	d.start("orders")
	d.requireCompleted(s, waiting.ID)

	for _, away := range []string{"inventory", "payments", "sandbox"} {
		d.stop(away)
		order := d.place(s, "pm_card_visa")
		require.Equal(t, "pending", order.State, "without %s", away)
		d.start(away)
		d.requireCompleted(s, order.ID)
	}

	d.stop("listeners")
	late := d.customer() // registers and signs in
	order := d.place(late, "pm_card_visa")
	eventually(t, time.Minute, "the order does not end without its listeners", func() bool {
		seen, err := late.Order(t.Context(), order.ID)
		return err == nil && seen.State == "completed"
	})
	seen, err := late.Order(t.Context(), order.ID)
	require.NoError(t, err)
	require.Empty(t, seen.Mails)
	d.start("listeners")
	d.requireCompleted(late, order.ID)

	// Without the API no order is accepted: clients come back with the same key.
	d.stop("api")
	_, err = s.Place(t.Context(), "while-away", []demo.Line{{SKU: "MUG-BLUE", Quantity: 2}}, "pm_card_visa")
	require.Error(t, err)
	d.start("api")
	order, err = s.Place(t.Context(), "while-away", []demo.Line{{SKU: "MUG-BLUE", Quantity: 2}}, "pm_card_visa")
	require.NoError(t, err)
	d.requireCompleted(s, order.ID)

	d.requireFound(testenv.Temporal(t, nil), order.ID)
	d.stop(append(node.AllRoles().Names(), "sandbox")...)
}

// One process tries its steps inline, and is replaced by separate roles while a saga is under way: the saga goes on, its steps now where
// their services are.
func TestAnInlineSagaGoesOnInSeparateRoles(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.start("sandbox")
	all := d.launch("serve", "all", "--inline")
	eventually(t, time.Minute, "serve all does not come up", func() bool { return strings.Contains(all.printed(), "msg=ready") })
	d.demo()
	s := d.customer()
	hold := d.hold("confirm", "before")
	order := d.place(s, "pm_card_visa")
	eventually(t, 30*time.Second, "nothing is being authorised", func() bool { return d.held(hold) })
	all.kill(false)
	d.release(hold)

	d.start(node.AllRoles().Names()...)
	d.requireCompleted(s, order.ID)
	past := d.history(d.dial(testenv.Temporal(t, nil)), order.ID)
	require.Equal(t, activities.InlineQueue, past.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetTaskQueue().GetName())
	asked, tried := map[string]string{}, 0
	for _, event := range past.GetEvents() {
		if event.GetMarkerRecordedEventAttributes() != nil {
			tried++
		}
		if scheduled := event.GetActivityTaskScheduledEventAttributes(); scheduled != nil {
			asked[scheduled.GetActivityType().GetName()] = scheduled.GetTaskQueue().GetName()
		}
	}
	require.Equal(t, map[string]string{
		"inventory.reserve": activities.InventoryQueue, "payments.authorize": activities.PaymentsQueue, "payments.capture": activities.PaymentsQueue,
	}, asked, "steps of services that the process of the saga does not run")
	require.Equal(t, 5, tried, "inline attempts in the history, those refused because the service is elsewhere among them")
	replayer := worker.NewWorkflowReplayer()
	workflows.Register(replayer)
	require.NoError(t, replayer.ReplayWorkflowHistory(quiet(), past))
	d.stop(append(node.AllRoles().Names(), "sandbox")...)
}

// dial connects to the deployment's namespace.
func (d *deployment) dial(server string) client.Client {
	d.t.Helper()
	c, err := client.Dial(client.Options{HostPort: server, Namespace: d.parts.prefix, Logger: quiet()})
	require.NoError(d.t, err)
	d.t.Cleanup(c.Close)
	return c
}

// requireFound looks for the order's saga by its search attribute, as an operator would.
func (d *deployment) requireFound(server, orderID string) {
	d.t.Helper()
	c := d.dial(server)
	eventually(d.t, 30*time.Second, "the saga is not found by OrderStatus", func() bool {
		found, err := c.CountWorkflow(context.Background(), &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: d.parts.prefix,
			Query:     fmt.Sprintf("OrderStatus = 'completed' AND WorkflowId = '%s'", workflows.OrderWorkflowID(orderID)),
		})
		return err == nil && found.GetCount() == 1
	})
}
