package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"example.com/orderly/activities"
	"example.com/orderly/internal/orders"
)

// story is what the Temporal web UI shows of a saga to somebody who does not know the code: its current details, and the search
// attributes it is found by.
type story struct {
	ctx     workflow.Context
	in      OrderInput
	status  orders.State
	reason  string
	notice  notice
	entries []*entry
}

type entry struct {
	title string
	state string
}

func newStory(ctx workflow.Context, in OrderInput) *story {
	s := &story{ctx: ctx, in: in, status: orders.Pending}
	s.show()
	return s
}

func (s *story) begin(title string) *entry {
	e := &entry{title: title, state: "running since " + workflow.Now(s.ctx).UTC().Format("2006-01-02 15:04:05 MST")}
	s.entries = append(s.entries, e)
	s.show()
	return e
}

func (s *story) end(e *entry, err error) {
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

func (s *story) confirmed() {
	s.status = orders.Confirmed
	s.show()
}

// attend shows what an operator should look at. The status is brought up to date with it: the search attribute is not
// written at every step, because each write costs an event.
func (s *story) attend(n notice) {
	s.notice = n
	s.upsert()
	s.show()
}

func (s *story) finish(state orders.State, reason string) {
	s.status, s.reason, s.notice = state, reason, notice{}
	s.upsert()
	s.show()
}

func (s *story) upsert() {
	if !s.in.Searchable {
		return
	}
	// The keys are constants and the values match their types, which is all that can be wrong here.
	_ = workflow.UpsertTypedSearchAttributes(s.ctx,
		OrderStatus.ValueSet(string(s.status)), Parked.ValueSet(s.notice.attention == orders.Parked))
}

func (s *story) show() {
	text := fmt.Sprintf("Order `%s` over **%s** is **%s**", s.in.OrderID, s.in.total(), s.status)
	if s.reason != "" {
		text += fmt.Sprintf(" (%s)", s.reason)
	}
	text += ".\n\n"
	if s.notice.attention != orders.NoAttention {
		text += fmt.Sprintf("**%s**: %s (%s).\n\n", strings.ToUpper(string(s.notice.attention)), s.notice.step, s.notice.reason)
	}
	text += "| Step | State |\n|---|---|\n"
	for _, e := range s.entries {
		text += fmt.Sprintf("| %s | %s |\n", e.title, e.state)
	}
	workflow.SetCurrentDetails(s.ctx, text)
}
