package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// patience is how long one scenario may take, from placing the order to the last event and mail.
const patience = 60 * time.Second

// Scenario is an order that shows one thing, and everything that must be true afterwards.
type Scenario struct {
	name   string
	lines  []Line
	method string

	state   string
	reason  string
	charged int64
	taken   int64 // pieces of each line's SKU that are gone
	asked   int   // how often the provider is asked what became of the payment: more than once where an answer was lost
	events  []string
}

// completedEvents are events of an order that completes, which may have others between them.
var completedEvents = []string{
	"order.created.v1", "inventory.reserved.v1", "payment.authorized.v1", "order.confirmed.v1", "payment.captured.v1", "order.completed.v1",
}

// Scenarios are what the demo plays, in this order.
var Scenarios = []Scenario{
	{
		name: "completes", lines: []Line{{"LAMP-DESK", 1}}, method: "pm_card_visa",
		state: "completed", charged: 4550, taken: 1, asked: 1, events: completedEvents,
	},
	{
		name: "card declined", lines: []Line{{"LAMP-DESK", 1}}, method: "pm_card_chargeDeclinedInsufficientFunds",
		state: "rejected", reason: "insufficient_funds",
		events: []string{"order.created.v1", "inventory.reserved.v1", "payment.declined.v1", "inventory.released.v1", "order.rejected.v1"},
	},
	{
		name: "authorised, answer lost", lines: []Line{{"MUG-BLUE", 1}}, method: "pm_sandbox_confirm_answer_lost",
		state: "completed", charged: 1000, taken: 1, asked: 2, events: completedEvents,
	},
	{
		name: "captured, answer lost", lines: []Line{{"MUG-BLUE", 1}}, method: "pm_sandbox_capture_answer_lost",
		state: "completed", charged: 1000, taken: 1, asked: 2, events: completedEvents,
	},
	{
		name: "out of stock", lines: []Line{{"VINYL-FIRST", 1}}, method: "pm_card_visa",
		state: "rejected", reason: "out_of_stock",
		events: []string{"order.created.v1", "inventory.rejected.v1", "order.rejected.v1"},
	},
	{
		name: "three lines of 10.00", lines: []Line{{"MUG-BLUE", 1}, {"CAP-RED", 1}, {"TOTE-LINEN", 1}}, method: "pm_card_visa",
		state: "completed", charged: 3000, taken: 1, events: completedEvents,
	},
}

// Outcome is what became of a scenario. Its JSON form is what demo --json prints.
type Outcome struct {
	Scenario     string   `json:"scenario"`
	OrderID      string   `json:"order_id"`
	State        string   `json:"state"`
	Reason       string   `json:"reason"`
	ChargedMinor int64    `json:"charged_minor"`
	StockBefore  int64    `json:"stock_before"`
	StockAfter   int64    `json:"stock_after"`
	Events       []string `json:"events"`
	Mails        int      `json:"mails"`

	currency string
	wrong    []string
}

// play places the scenario's order and follows it until everything that must come has come, or patience ends. tell is called
// with each event as it shows up.
func (s Scenario) play(ctx context.Context, client *Client, tell func(event string, at time.Time)) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	before, err := client.Available(ctx)
	if err != nil {
		return Outcome{}, err
	}
	order, err := client.Place(ctx, uuid.NewString(), s.lines, s.method)
	if err != nil {
		return Outcome{}, fmt.Errorf("place the order %q: %w", s.name, err)
	}
	order = s.follow(ctx, client, order, tell)

	// What was seen counts, also when patience ended: the report says what is missing.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	after, err := client.Available(ctx)
	if err != nil {
		return Outcome{}, err
	}
	calls, err := client.Calls(ctx, order.ID)
	if err != nil {
		return Outcome{}, err
	}
	sku := s.lines[0].SKU
	o := Outcome{
		Scenario: s.name, OrderID: order.ID, State: order.State, Reason: order.Reason, currency: order.Currency,
		StockBefore: before[sku], StockAfter: after[sku], Events: TypesOf(order), Mails: len(order.Mails),
	}
	charges, err := client.Book(ctx, order.ID)
	if err != nil {
		return Outcome{}, err
	}
	authorisations := 0
	for _, c := range charges {
		o.ChargedMinor += c.CapturedMinor - c.RefundedMinor
		authorisations += c.Charges
		if c.AuthorizedMinor != 0 {
			o.wrong = append(o.wrong, fmt.Sprintf("%d are still held at the provider", c.AuthorizedMinor))
		}
	}
	if authorisations > 1 {
		o.wrong = append(o.wrong, fmt.Sprintf("the card was authorised %d times", authorisations))
	}
	if calls["get"] < s.asked {
		o.wrong = append(o.wrong, fmt.Sprintf("the provider was asked %d times what became of the payment, not %d: was an answer lost at all?",
			calls["get"], s.asked))
	}
	for _, line := range s.lines[1:] {
		if after[line.SKU] != before[line.SKU]-s.taken {
			o.wrong = append(o.wrong, fmt.Sprintf("the stock of %s went from %d to %d", line.SKU, before[line.SKU], after[line.SKU]))
		}
	}
	o.wrong = append(o.wrong, s.Differences(o)...)
	return o, nil
}

// follow polls the order until its end, its events and its mail are there, or ctx ends.
func (s Scenario) follow(ctx context.Context, client *Client, order Order, tell func(event string, at time.Time)) Order {
	told := 0
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		if seen, err := client.Order(ctx, order.ID); err == nil {
			order = seen
		}
		for ; told < len(order.Timeline); told++ {
			tell(order.Timeline[told].Type, order.Timeline[told].Time)
		}
		if order.Ended() && inOrder(s.events, TypesOf(order)) && len(order.Mails) > 0 {
			return order
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return order
		}
	}
}

// Differences names what of the outcome is not as the scenario says.
func (s Scenario) Differences(o Outcome) []string {
	var wrong []string
	differs := func(what string, want, got any) {
		if fmt.Sprint(want) != fmt.Sprint(got) {
			wrong = append(wrong, fmt.Sprintf("%s is %v and should be %v", what, got, want))
		}
	}
	differs("the state", s.state, o.State)
	differs("the reason", s.reason, o.Reason)
	differs("the amount charged", s.charged, o.ChargedMinor)
	differs("the stock afterwards", o.StockBefore-s.taken, o.StockAfter)
	differs("the number of mails", 1, o.Mails)
	if !inOrder(s.events, o.Events) {
		differs("the list of events", strings.Join(s.events, " "), strings.Join(o.Events, " "))
	}
	return wrong
}

// inOrder reports whether got has all of want, in this order. A step that was added announces more.
func inOrder(want, got []string) bool {
	for _, event := range got {
		if len(want) > 0 && event == want[0] {
			want = want[1:]
		}
	}
	return len(want) == 0
}

// TypesOf are the types of the events in the order's timeline.
func TypesOf(o Order) []string {
	types := make([]string, len(o.Timeline))
	for i, e := range o.Timeline {
		types[i] = e.Type
	}
	return types
}
