package main

import (
	"context"
	"database/sql"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/sandbox"
	"example.com/orderly/workflows"
)

var record = flag.Bool("record", false, "write the histories of TestHistories where the replay tests find them")

// Each end an order can come to, on the whole system: what the book says, what was announced, and a history that replays. Where the
// steps are tried makes no difference to it.
func TestHistories(t *testing.T) {
	t.Parallel()
	t.Run("regular", func(t *testing.T) {
		t.Parallel()
		playHistories(newWorld(t), "")
	})
	t.Run("inline", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.flags = []string{"--inline"}
		playHistories(w, "inline-")
	})
}

func playHistories(w *world, prefix string) {
	t := w.t
	p := w.start()
	s := w.customer()
	temporal := w.dial()

	cancelled := []string{
		"order.created.v1", "inventory.reserved.v1", "payment.authorized.v1", "payment.voided.v1", "inventory.released.v1", "order.cancelled.v1",
	}
	for _, c := range []struct {
		name   string
		play   func() (orderID string)
		state  string
		reason string
		events []string
		book   sandbox.Charge
		// regular is a path that only regular activities take: an inline attempt does not outlive the two seconds it is given.
		regular bool
	}{
		{
			name: "completed", state: "completed", events: completedEvents, book: sandbox.Charge{CapturedMinor: 2000, Charges: 1},
			play: func() string { return w.place(s, "pm_card_visa").ID },
		},
		{
			name: "declined", state: "rejected", reason: "insufficient_funds",
			events: []string{"order.created.v1", "inventory.reserved.v1", "payment.declined.v1", "inventory.released.v1", "order.rejected.v1"},
			play:   func() string { return w.place(s, "pm_card_chargeDeclinedInsufficientFunds").ID },
		},
		{
			name: "out-of-stock", state: "rejected", reason: "out_of_stock",
			events: []string{"order.created.v1", "inventory.rejected.v1", "order.rejected.v1"},
			play: func() string {
				order, err := s.Place(t.Context(), "out-of-stock", []demo.Line{{SKU: "MUG-BLUE", Quantity: 1}, {SKU: "VINYL-FIRST", Quantity: 1}}, "pm_card_visa")
				require.NoError(t, err)
				return order.ID
			},
		},
		{
			name: "reversed", state: "reversed", reason: "payment_declined",
			events: []string{
				"order.created.v1", "inventory.reserved.v1", "payment.authorized.v1", "order.confirmed.v1",
				"payment.voided.v1", "inventory.released.v1", "order.reversed.v1",
			},
			book: sandbox.Charge{Charges: 1},
			play: func() string { return w.place(s, "pm_sandbox_capture_refused").ID },
		},
		{
			name: "answer-lost", state: "completed", events: completedEvents, book: sandbox.Charge{CapturedMinor: 2000, Charges: 1},
			play: func() string { return w.place(s, "pm_sandbox_capture_answer_lost").ID },
		},
		{
			name: "cancelled-by-operator", state: "cancelled", reason: "cancelled_by_operator", regular: true,
			events: []string{"order.created.v1", "inventory.reserved.v1", "inventory.released.v1", "order.cancelled.v1"},
			// Authorised at the provider, and cancelled before its answer was recorded.
			book: sandbox.Charge{Charges: 1},
			play: func() string {
				hold := w.hold("confirm", "after")
				order := w.place(s, "pm_card_visa")
				eventually(t, 30*time.Second, "nothing was authorised", func() bool { return w.held(hold) })
				require.NoError(t, temporal.CancelWorkflow(t.Context(), workflows.OrderWorkflowID(order.ID), ""))
				w.ends(s, order.ID, 4)
				w.release(hold)
				eventually(t, 30*time.Second, "the frozen attempt has not come to its end", func() bool {
					return strings.Contains(w.metrics(), `orderly_step_duration_seconds_count{outcome="failed",step="payments.authorize"}`)
				})
				return order.ID
			},
		},
		{
			name: "called-off-before-confirm", state: "cancelled", reason: "cancel_requested", events: cancelled,
			book: sandbox.Charge{Charges: 1},
			play: func() string {
				hold := w.hold("confirm", "before")
				order := w.place(s, "pm_card_visa")
				eventually(t, 30*time.Second, "nothing is being authorised", func() bool { return w.held(hold) })
				w.exec("orders", `UPDATE orders SET cancel_requested_at = created_at WHERE id = ?`, order.ID)
				w.release(hold)
				return order.ID
			},
		},
	} {
		if c.regular && len(w.flags) > 0 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			before, err := s.Available(t.Context())
			require.NoError(t, err)
			orderID := c.play()
			order := w.ends(s, orderID, len(c.events))
			require.Equal(t, c.state, order.State)
			require.Equal(t, c.reason, order.Reason)
			require.Equal(t, c.events, demo.TypesOf(order))
			w.requireBook(s, orderID, c.book)
			after, err := s.Available(t.Context())
			require.NoError(t, err)
			if c.state == "completed" {
				before["MUG-BLUE"] -= 2
			}
			require.Equal(t, before, after)

			past := w.history(temporal, orderID)
			replayer := worker.NewWorkflowReplayer()
			workflows.Register(replayer)
			require.NoError(t, replayer.ReplayWorkflowHistory(quiet(), past))
			if *record {
				body, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(past)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join("../../workflows/testdata/histories", prefix+c.name+".json"), append(body, '\n'), 0o600))
			}
		})
	}
	p.terminate()
}

// history waits until the order's workflow has closed and returns its history.
func (w *world) history(c client.Client, orderID string) *history.History {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	id := workflows.OrderWorkflowID(orderID)
	require.NoError(w.t, c.GetWorkflow(ctx, id, "").Get(ctx, nil), "the workflow of order %s did not complete", orderID)
	var past history.History
	all := c.GetWorkflowHistory(ctx, id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for all.HasNext() {
		event, err := all.Next()
		require.NoError(w.t, err)
		past.Events = append(past.Events, event)
	}
	return &past
}

// exec changes a service's database behind its back.
func (w *world) exec(service, statement string, args ...any) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.data, service+".db")+"?_pragma=busy_timeout(5000)")
	require.NoError(w.t, err)
	defer func() { _ = db.Close() }()
	result, err := db.ExecContext(w.t.Context(), statement, args...)
	require.NoError(w.t, err)
	changed, err := result.RowsAffected()
	require.NoError(w.t, err)
	require.Equal(w.t, int64(1), changed)
}

func quiet() log.Logger { return log.NewStructuredLogger(slog.New(slog.DiscardHandler)) }

// An operator resets the workflow of an order that is paid for: everything is asked for again, and nothing happens twice.
func TestReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start()
	s := w.customer()
	temporal := w.dial()
	order := w.place(s, "pm_card_visa")
	w.requireCompleted(s, order.ID)
	before, err := s.Available(t.Context())
	require.NoError(t, err)

	past := w.history(temporal, order.ID)
	reset, err := temporal.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace:                 client.DefaultNamespace,
		WorkflowExecution:         &common.WorkflowExecution{WorkflowId: workflows.OrderWorkflowID(order.ID)},
		Reason:                    "test",
		RequestId:                 "reset-" + order.ID,
		WorkflowTaskFinishEventId: past.GetEvents()[3].GetEventId(), // the first workflow task's end
	})
	require.NoError(t, err)
	var result workflows.OrderResult
	require.NoError(t, temporal.GetWorkflow(t.Context(), workflows.OrderWorkflowID(order.ID), reset.GetRunId()).Get(t.Context(), &result))
	require.Equal(t, "completed", string(result.State))
	w.requireCompleted(s, order.ID)
	after, err := s.Available(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after)
	p.terminate()
}
