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

// entry is one row of the table that progress shows.
type entry struct {
	title string
	state string
}

func newProgress(ctx workflow.Context, in OrderInput) *progress {
	p := &progress{ctx: ctx, in: in, status: orders.Pending}
	p.show()
	return p
}

func (p *progress) begin(title string) *entry {
	e := &entry{title: title, state: "running since " + workflow.Now(p.ctx).UTC().Format("2006-01-02 15:04:05 MST")}
	p.entries = append(p.entries, e)
	p.show()
	return e
}

func (p *progress) end(e *entry, err error) {
	switch code, refused := activities.Refusal(err); {
	case err == nil:
		e.state = "done"
	case refused:
		e.state = "refused: " + code
	default:
		e.state = "given up: " + activities.Reason(err)
	}
	p.show()
}

func (p *progress) confirmed() {
	p.status = orders.Confirmed
	p.show()
}

// attend shows what an operator should look at. It also updates the search attribute OrderStatus, which is not written at every step
// because each write costs an event.
func (p *progress) attend(a attention) {
	p.attention = a
	p.upsert()
	p.show()
}

func (p *progress) finish(state orders.State, reason string) {
	p.status, p.reason, p.attention = state, reason, attention{}
	p.upsert()
	p.show()
}

func (p *progress) upsert() {
	if !p.in.Searchable {
		return
	}
	// The keys are constants and the values match their types, which is all that can be wrong here.
	_ = workflow.UpsertTypedSearchAttributes(p.ctx,
		OrderStatus.ValueSet(string(p.status)), Parked.ValueSet(p.attention.level == orders.Parked))
}

func (p *progress) show() {
	text := fmt.Sprintf("Order `%s` over **%s** is **%s**", p.in.OrderID, p.in.total(), p.status)
	if p.reason != "" {
		text += fmt.Sprintf(" (%s)", p.reason)
	}
	text += ".\n\n"
	if p.attention.level != orders.NoAttention {
		text += fmt.Sprintf("**%s**: %s (%s).\n\n", strings.ToUpper(string(p.attention.level)), p.attention.step, p.attention.reason)
	}
	text += "| Step | State |\n|---|---|\n"
	for _, e := range p.entries {
		text += fmt.Sprintf("| %s | %s |\n", e.title, e.state)
	}
	workflow.SetCurrentDetails(p.ctx, text)
}
