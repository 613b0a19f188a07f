package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"example.com/orderly/internal/money"
	"example.com/orderly/internal/node"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/workflows"
)

// saga starts the saga of an order that no process has placed.
func saga(t *testing.T, c client.Client, orderID string) {
	t.Helper()
	in := workflows.InputFor(orders.Order{ID: orderID, CustomerID: "c", Total: money.Money{Minor: 1, Currency: "EUR"}}, true, false, false)
	_, err := c.ExecuteWorkflow(t.Context(), in.StartOptions(), workflows.OrderWorkflow, in)
	require.NoError(t, err)
}

func isOpen(t *testing.T, c client.Client, orderID string) bool {
	t.Helper()
	described, err := c.DescribeWorkflowExecution(t.Context(), workflows.OrderWorkflowID(orderID), "")
	require.NoError(t, err)
	return described.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING
}

// The databases of a system are lost while its namespace, broker and Redis are kept. The next system is refused by each of them, adopts them
// once nothing of the lost one is left, and works.
func TestAdoptAfterTheDatabasesWereLost(t *testing.T) {
	t.Parallel()
	lost := newDeployment(t)
	lost.start("listeners") // claims the prefixes; migrate has claimed the namespace
	gone := systemOf(t, lost.parts.open(t, "orders"))
	parts := newRealParts(t)
	parts.prefix = lost.parts.prefix
	d := *lost
	w := *lost.world
	d.world, d.running, d.parts.database = &w, map[string]*process{}, parts.database
	d.env = append(append([]string{}, d.env...), "DATABASE_URL="+parts.database)

	other := parts.prefix + "-2" // which is claimed before the namespace refuses
	parts.cleanUp(t, other)
	elsewhere := d.with("TEMPORAL_NAMESPACE=default", "TEMPORAL_ADDRESS=")
	said, code := elsewhere.command("migrate")
	require.Zero(t, code, said)
	ours := systemOf(t, parts.open(t, "orders"))
	for _, c := range []struct {
		args []string
		set  []string
		says string
	}{
		{[]string{"migrate"}, nil, "TEMPORAL_NAMESPACE"},
		{[]string{"serve", "payments"}, []string{"ORDERLY_RABBITMQ_PREFIX=" + other}, "TEMPORAL_NAMESPACE"},
		{[]string{"serve", "inventory"}, nil, "ORDERLY_RABBITMQ_PREFIX"},
		{[]string{"serve", "listeners"}, nil, "ORDERLY_REDIS_PREFIX"},
	} {
		d.world.with(append(c.set, "ORDERLY_HEALTH_ADDR=127.0.0.1:0")...).requireRefusal(c.args, c.says, "serves system "+gone, "system "+ours, "orderly adopt")
	}

	d.requireRefusal([]string{"adopt"}, "nothing was changed", "orderly adopt --give-up "+gone)
	d.requireRefusal([]string{"adopt", "--give-up", ours}, "nothing was changed", "is the system of the databases")
	d.requireRefusal([]string{"adopt", "--give-up", "third"}, "nothing was changed", "nothing serves system third")
	d.requireRefusal([]string{"adopt", "--give-up", gone}, "nothing was adopted", "a process consumes from", lost.parts.prefix+".journal")
	lost.stop("listeners")

	c := d.dial(testenv.Temporal(t, nil))
	saga(t, c, "known")
	saga(t, c, "unknown")
	_, err := parts.open(t, "orders").Exec(t.Context(), `INSERT INTO orders (id, customer_id, state, total_minor, currency, payment_method, created_at,
		updated_at, saga_started_at) VALUES ('known', 'c', 'pending', 1, 'EUR', 'm', now(), now(), now())`)
	require.NoError(t, err)
	eventually(t, 30*time.Second, "the sagas are not listed", func() bool {
		said, code = d.command("adopt", "--give-up", gone)
		return code == 1 && strings.Contains(said, "has 2 open sagas, 1 of them of orders that the orders database does not know")
	})
	require.Contains(t, said, "such as unknown")
	require.Contains(t, said, "--end-sagas")

	said, code = d.command("adopt", "--give-up", gone, "--end-sagas")
	require.Zero(t, code, said)
	require.Contains(t, said, "Terminated the saga of order unknown")
	require.Equal(t, 3, strings.Count(said, " now serves system "+ours), said)
	require.True(t, isOpen(t, c, "known"))
	require.False(t, isOpen(t, c, "unknown"))
	said, code = d.command("adopt")
	require.Zero(t, code, said)
	require.NotContains(t, said, "another one")
	require.NoError(t, c.TerminateWorkflow(context.Background(), workflows.OrderWorkflowID("known"), "", "it has no lines"))

	said, code = d.command("migrate")
	require.Zero(t, code, said)
	d.startAll()
	s := d.customer()
	d.requireCompleted(s, d.place(s, "pm_card_visa").ID)
	d.stop(append(node.AllRoles().Names(), "sandbox")...)
	for _, says := range []string{"migrate", "serve listeners"} {
		lost.requireRefusal(strings.Fields(says), "serves system "+ours, "system "+gone)
	}
}

// Of a data folder the databases are lost, and Temporal's is kept.
func TestAdoptInADataFolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env = append(w.env, "ORDERLY_DATA="+w.data)
	w.start().terminate()
	gone := systemOf(t, w.file("orders"))
	for _, service := range node.ServiceNames() {
		files, err := filepath.Glob(filepath.Join(w.data, service+".db*"))
		require.NoError(t, err)
		for _, file := range files {
			require.NoError(t, os.Remove(file))
		}
	}
	w.requireRefusal([]string{"adopt"}, "there is no orders database")
	w.requireRefusal([]string{"dev"}, "TEMPORAL_NAMESPACE", "serves system "+gone, "orderly adopt")
	said, code := w.command("adopt", "--give-up", gone)
	require.Zero(t, code, said)
	require.Contains(t, said, "has 0 open sagas")
	p := w.start()
	s := w.customer()
	w.requireCompleted(s, w.place(s, "pm_card_visa").ID)
	p.terminate()
	require.NotEqual(t, gone, systemOf(t, w.file("orders")))
}
