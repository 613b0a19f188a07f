package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"example.com/orderly/activities"
	"example.com/orderly/internal/orders"
)

// progress is what the Temporal web UI shows of a saga: its current details, readable without the code, and its search attributes.
type progress struct {
	ctx       workflow.Context
	in        OrderInput
	status    orders.State
	reason    string
	attention attention
	entries   []*entry
}

type entry struct {
	title string
	state string
}

func newProgress(ctx workflow.Context, in OrderInput) *progress {
	s := &progress{ctx: ctx, in: in, status: orders.Pending}
	s.show()
	return s
}

func (s *progress) begin(title string) *entry {
	e := &entry{title: title, state: "running since " + workflow.Now(s.ctx).UTC().Format("2006-01-02 15:04:05 MST")}
	s.entries = append(s.entries, e)
	s.show()
	return e
}

func (s *progress) end(e *entry, err error) {
	switch code, refused := activities.Refusal(err); {
	case err == nil:
		e.state = "done"
	case refused:
		e.state = "refused: " + code
	default:
		e.state = "given up: " + activities.Reason(err)
	}
	s.show()
}

func (s *progress) confirmed() {
	s.status = orders.Confirmed
	s.show()
}

// attend shows what an operator should look at. It also updates the search attribute OrderStatus, which is not written at every step
// because each write costs an event.
func (s *progress) attend(a attention) {
	s.attention = a
	s.upsert()
	s.show()
}

func (s *progress) finish(state orders.State, reason string) {
	s.status, s.reason, s.attention = state, reason, attention{}
	s.upsert()
	s.show()
}

func (s *progress) upsert() {
	if !s.in.Searchable {
		return
	}
	// The keys are constants and the values match their types, which is all that can be wrong here.
	_ = workflow.UpsertTypedSearchAttributes(s.ctx,
		OrderStatus.ValueSet(string(s.status)), Parked.ValueSet(s.attention.level == orders.Parked))
}

func (s *progress) show() {
	text := fmt.Sprintf("Order `%s` over **%s** is **%s**", s.in.OrderID, s.in.total(), s.status)
	if s.reason != "" {
		text += fmt.Sprintf(" (%s)", s.reason)
	}
	text += ".\n\n"
	if s.attention.level != orders.NoAttention {
		text += fmt.Sprintf("**%s**: %s (%s).\n\n", strings.ToUpper(string(s.attention.level)), s.attention.step, s.attention.reason)
	}
	text += "| Step | State |\n|---|---|\n"
	for _, e := range s.entries {
		text += fmt.Sprintf("| %s | %s |\n", e.title, e.state)
	}
	workflow.SetCurrentDetails(s.ctx, text)
}
