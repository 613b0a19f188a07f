package main

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/sandbox"
	"example.com/orderly/workflows"
)

// The saga of an order is reset when all is undone and the order has not been moved to its end yet. The new run meets the steps that the
// first one has undone, and the customer is told the cause of the first.
func TestTheFirstCauseStaysTheReason(t *testing.T) {
	t.Parallel()
	for placement, flags := range map[string][]string{"regular": nil, "inline": {"--inline"}} {
		t.Run(placement, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.flags = flags
			p := w.start()
			s := w.customer()
			temporal := w.dial()
			mug := []demo.Line{{SKU: "MUG-BLUE", Quantity: 2}}
			for _, c := range []struct {
				name, method, state, reason string
				kept                        string // the reason in the orders database, where it is not the one that customers are told
				lines                       []demo.Line
				stop                        func(t *testing.T, orderID string) // while the order is being authorised
			}{
				{name: "declined card", method: "pm_card_chargeDeclinedInsufficientFunds", lines: mug, state: "rejected", reason: "insufficient_funds"},
				{
					name: "out of stock", method: "pm_card_visa", lines: append(mug, demo.Line{SKU: "VINYL-FIRST", Quantity: 1}),
					state: "rejected", reason: "out_of_stock",
				},
				{name: "capture refused", method: "pm_sandbox_capture_refused", lines: mug, state: "reversed", reason: "payment_declined", kept: "capture_refused"},
				{
					name: "called off", method: "pm_card_visa", lines: mug, state: "cancelled", reason: "cancel_requested",
					stop: func(_ *testing.T, orderID string) {
						w.exec("orders", `UPDATE orders SET cancel_requested_at = created_at WHERE id = ?`, orderID)
					},
				},
				{
					name: "cancelled in Temporal's web UI", method: "pm_card_visa", lines: mug, state: "cancelled", reason: "cancelled_by_operator",
					stop: func(t *testing.T, orderID string) {
						require.NoError(t, temporal.CancelWorkflow(t.Context(), workflows.OrderWorkflowID(orderID), ""))
					},
				},
			} {
				t.Run(c.name, func(t *testing.T) {
					w := *w
					w.t = t
					before, err := s.Available(t.Context())
					require.NoError(t, err)
					var holds []string
					for range map[bool]int{true: 1 + len(flags)}[c.stop != nil] { // an inline attempt is followed by a regular one
						holds = append(holds, w.hold("confirm", "before"))
					}
					w.do("orders", `CREATE TRIGGER no_end BEFORE UPDATE ON orders WHEN NEW.state IN ('rejected', 'cancelled', 'reversed')
						BEGIN SELECT RAISE(ABORT, 'no order ends'); END`)
					unlock := sync.OnceFunc(func() { w.do("orders", `DROP TRIGGER no_end`) })
					defer unlock()
					order, err := s.Place(t.Context(), strings.ReplaceAll(placement+c.name, " ", "-"), c.lines, c.method)
					require.NoError(t, err)
					if c.stop != nil {
						eventually(t, 30*time.Second, "nothing is being authorised", func() bool {
							return !slices.ContainsFunc(holds, func(hold string) bool { return !w.held(hold) })
						})
						c.stop(t, order.ID)
						for _, hold := range holds {
							w.release(hold)
						}
					}
					w.moving(temporal, order.ID)
					w.reset(temporal, order.ID)
					w.moving(temporal, order.ID)
					unlock()

					seen := w.ends(s, order.ID, 3)
					require.Equal(t, c.state, seen.State)
					require.Equal(t, c.reason, seen.Reason)
					require.Equal(t, cmp.Or(c.kept, c.reason), w.reasonKept(order.ID))
					w.closed(temporal, order.ID)
					timeline := w.timeline(s, order.ID)
					require.Contains(t, timeline, `"reason":"`+c.reason+`"`)
					require.NotContains(t, timeline, "step_undone")
					after, err := s.Available(t.Context())
					require.NoError(t, err)
					require.Equal(t, before, after)
					charges, err := s.Book(t.Context(), order.ID)
					require.NoError(t, err)
					for _, charge := range charges {
						require.Zero(t, charge.AuthorizedMinor+charge.CapturedMinor, "money is held or kept")
					}
					replayer := worker.NewWorkflowReplayer()
					workflows.Register(replayer)
					require.NoError(t, replayer.ReplayWorkflowHistoryWithOptions(quiet(), w.history(temporal, order.ID), worker.ReplayWorkflowHistoryOptions{
						OriginalExecution: workflow.Execution{ID: workflows.OrderWorkflowID(order.ID), RunID: "that of the reset"},
					}))
				})
			}
			p.terminate()
		})
	}
}

// Cancel is clicked while a workflow task takes its steps inline. Temporal throws the task away, and the next one begins with the
// cancellation, though the order may be completed by then: its money and stock must stay as they are.
func TestACancellationDuringInlineSteps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.flags = []string{"--inline"}
	p := w.start()
	s := w.customer()
	temporal := w.dial()
	before, err := s.Available(t.Context())
	require.NoError(t, err)
	for _, call := range []string{"confirm", "capture"} {
		hold := w.hold(call, "before")
		order := w.place(s, "pm_card_visa")
		eventually(t, 30*time.Second, "the provider is not asked to "+call, func() bool { return w.held(hold) })
		require.NoError(t, temporal.CancelWorkflow(t.Context(), workflows.OrderWorkflowID(order.ID), ""))
		w.release(hold)
		w.closed(temporal, order.ID)

		seen, err := s.Order(t.Context(), order.ID)
		require.NoError(t, err)
		after, err := s.Available(t.Context())
		require.NoError(t, err)
		switch seen.State {
		case "completed":
			w.requireBook(s, order.ID, sandbox.Charge{CapturedMinor: 2000, Charges: 1})
			before["MUG-BLUE"] -= 2
		case "cancelled": // a slow machine: the attempt was over before the click
			require.Equal(t, "cancelled_by_operator", seen.Reason)
			charges, err := s.Book(t.Context(), order.ID)
			require.NoError(t, err)
			for _, charge := range charges {
				require.Zero(t, charge.AuthorizedMinor+charge.CapturedMinor, "money is held or kept")
			}
		default:
			require.Fail(t, "the order is "+seen.State)
		}
		require.Equal(t, before, after)
		t.Logf("cancelled during %s: %s", call, seen.State)
	}
	p.terminate()
}

// moving waits until the order's saga has undone everything and asks for the order's end.
func (w *world) moving(temporal client.Client, orderID string) {
	w.t.Helper()
	eventually(w.t, 30*time.Second, "the saga does not move the order to an end", func() bool {
		described, err := temporal.DescribeWorkflowExecution(w.t.Context(), workflows.OrderWorkflowID(orderID), "")
		if err != nil {
			return false
		}
		for _, pending := range described.GetPendingActivities() {
			switch pending.GetActivityType().GetName() {
			case "orders.reject", "orders.cancel", "orders.reverse":
				return true
			}
		}
		return false
	})
}

// do changes the schema of a service's database.
func (w *world) do(service, statement string) {
	w.t.Helper()
	_, err := w.beside(service).ExecContext(w.t.Context(), statement)
	require.NoError(w.t, err)
}

// beside opens a service's database beside the process that has it open.
func (w *world) beside(service string) *sql.DB {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.data, service+".db")+"?_pragma=busy_timeout(5000)")
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = db.Close() })
	return db
}

// reasonKept is the reason of an order in the database.
func (w *world) reasonKept(orderID string) (reason string) {
	w.t.Helper()
	require.NoError(w.t, w.beside("orders").QueryRowContext(w.t.Context(), `SELECT reason FROM orders WHERE id = ?`, orderID).Scan(&reason))
	return reason
}

// timeline is what the customer is shown of the events of an order: the type and the data of each, a line each.
func (w *world) timeline(s *demo.Client, orderID string) string {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.api+"/v1/orders/"+orderID, nil)
	require.NoError(w.t, err)
	request.Header.Set("Authorization", "Bearer "+s.Token)
	response, err := http.DefaultClient.Do(request)
	require.NoError(w.t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(w.t, http.StatusOK, response.StatusCode)
	var body struct {
		Timeline []struct {
			Type string          `json:"type"`
			Data json.RawMessage `json:"data"`
		} `json:"timeline"`
	}
	require.NoError(w.t, json.NewDecoder(response.Body).Decode(&body))
	lines := make([]string, len(body.Timeline))
	for i, event := range body.Timeline {
		lines[i] = event.Type + " " + string(event.Data)
	}
	return strings.Join(lines, "\n")
}
