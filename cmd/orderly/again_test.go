package main

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/sandbox"
	"example.com/orderly/workflows"
)

// The saga of an order in each state is run again, after a Reset and after Temporal has lost it, and meets a step before the pivot that
// says no: the stock's record of the reservation is gone, and so is the stock. No order that is confirmed or completed loses its
// money or its stock by that, and none that is given up keeps any.
func TestASagaThatRunsAgainMeetsANo(t *testing.T) {
	t.Parallel()
	for placement, flags := range map[string][]string{"regular": nil, "inline": {"--inline"}} {
		t.Run(placement, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.flags = flags
			p := w.start()
			s := w.customer()
			temporal := w.dial()
			for _, c := range []struct {
				name   string
				held   string // the provider's call that holds the order in its state
				method string
				end    string
				book   sandbox.Charge
				lost   bool // else reset
			}{
				{name: "pending, reset", held: "confirm", method: "pm_card_visa", end: "rejected"},
				{name: "confirmed, reset", held: "capture", method: "pm_card_visa", end: "completed", book: sandbox.Charge{CapturedMinor: 2000, Charges: 1}},
				{name: "completed, reset", method: "pm_card_visa", end: "completed", book: sandbox.Charge{CapturedMinor: 2000, Charges: 1}},
				{name: "rejected, reset", method: "pm_card_chargeDeclinedInsufficientFunds", end: "rejected"},
				{name: "reversed, reset", method: "pm_sandbox_capture_refused", end: "reversed", book: sandbox.Charge{Charges: 1}},
				{name: "pending, lost", held: "confirm", method: "pm_card_visa", end: "rejected", lost: true},
				{name: "confirmed, lost", held: "capture", method: "pm_card_visa", end: "completed", book: sandbox.Charge{CapturedMinor: 2000, Charges: 1}, lost: true},
			} {
				t.Run(c.name, func(t *testing.T) {
					w := *w
					w.t = t
					before, err := s.Available(t.Context())
					require.NoError(t, err)
					var holds []string
					for range map[bool]int{true: 1 + len(flags)}[c.held != ""] { // an inline attempt is followed by a regular one
						holds = append(holds, w.hold(c.held, "before"))
					}
					order := w.place(s, c.method)
					if c.held != "" {
						eventually(t, 30*time.Second, "the provider was not asked to "+c.held, func() bool { return w.held(holds[0]) })
					} else {
						w.closed(temporal, order.ID)
					}

					w.exec("inventory", `DELETE FROM steps WHERE step_key = ?`, workflows.OrderWorkflowID(order.ID)+":reserve")
					left := w.takeAway("MUG-BLUE")
					if c.lost {
						w.lose(temporal, order.ID)
					} else {
						w.reset(temporal, order.ID)
					}
					eventually(t, time.Minute, "the order did not end", func() bool {
						seen, err := s.Order(t.Context(), order.ID)
						return err == nil && seen.State == c.end
					})
					w.closed(temporal, order.ID)
					for _, hold := range holds {
						w.release(hold)
					}
					w.putBack("MUG-BLUE", left)
					seen, err := s.Order(t.Context(), order.ID)
					require.NoError(t, err)
					require.Equal(t, c.end, seen.State)
					w.requireBook(s, order.ID, c.book)
					if c.end == "completed" {
						before["MUG-BLUE"] -= 2
						require.NotContains(t, strings.Join(demo.TypesOf(seen), " "), "inventory.released")
					}
					after, err := s.Available(t.Context())
					require.NoError(t, err)
					require.Equal(t, before, after)
				})
			}
			p.terminate()
		})
	}
}

// closed waits until the order's workflow has completed.
func (w *world) closed(temporal client.Client, orderID string) {
	w.t.Helper()
	eventually(w.t, time.Minute, "the workflow has not completed", func() bool {
		return temporal.GetWorkflow(w.t.Context(), workflows.OrderWorkflowID(orderID), "").Get(w.t.Context(), nil) == nil
	})
}

// takeAway leaves nothing of a product to be reserved, and returns how many pieces were taken.
func (w *world) takeAway(sku string) (taken int64) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.data, "inventory.db"))
	require.NoError(w.t, err)
	defer func() { _ = db.Close() }()
	require.NoError(w.t, db.QueryRowContext(w.t.Context(), `SELECT on_hand - reserved FROM stock WHERE sku = ?`, sku).Scan(&taken))
	w.exec("inventory", `UPDATE stock SET on_hand = on_hand - ? WHERE sku = ?`, taken, sku)
	return taken
}

func (w *world) putBack(sku string, taken int64) {
	w.t.Helper()
	w.exec("inventory", `UPDATE stock SET on_hand = on_hand + ? WHERE sku = ?`, taken, sku)
}

// reset resets an order's workflow to its first task, as an operator does in the web UI.
func (w *world) reset(temporal client.Client, orderID string) {
	w.t.Helper()
	eventually(w.t, 30*time.Second, "the workflow was not reset", func() bool { // its first task may not have ended yet
		_, err := temporal.ResetWorkflowExecution(w.t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
			Namespace:         client.DefaultNamespace,
			WorkflowExecution: &common.WorkflowExecution{WorkflowId: workflows.OrderWorkflowID(orderID)},
			Reason:            "test", RequestId: "reset-" + orderID,
			WorkflowTaskFinishEventId: 4, // the first workflow task's end
		})
		return err == nil
	})
}

// lose makes Temporal forget an order's workflow, and does what the reconciler does when it finds that out.
func (w *world) lose(temporal client.Client, orderID string) {
	w.t.Helper()
	execution := &common.WorkflowExecution{WorkflowId: workflows.OrderWorkflowID(orderID)}
	_, err := temporal.WorkflowService().DeleteWorkflowExecution(w.t.Context(), &workflowservice.DeleteWorkflowExecutionRequest{
		Namespace: client.DefaultNamespace, WorkflowExecution: execution,
	})
	require.NoError(w.t, err)
	eventually(w.t, 30*time.Second, "the workflow was not deleted", func() bool {
		_, err := temporal.DescribeWorkflowExecution(w.t.Context(), execution.GetWorkflowId(), "")
		return err != nil
	})
	w.exec("orders", `UPDATE orders SET saga_started_at = NULL WHERE id = ?`, orderID)
}
