package api

import (
	"encoding/json"

	"example.com/orderly/events"
	"example.com/orderly/internal/fault"
)

// faults are the codes of ends that say nothing about the order, only about how our services came to disagree. Rows, events and
// histories keep them for operators; a customer is told that the fault is ours.
var faults = map[string]bool{
	"step_undone": true, "already_reserved": true, "order_state": true, "order_not_found": true, "payment_state": true,
	"payment_not_found": true, "no_lines": true, "invalid_quantity": true,
}

// told is the reason of an end as customers are told it.
func told(reason string) string {
	if faults[reason] {
		return string(fault.Internal)
	}
	return reason
}

// dataFor is an event's data as customers are shown it: without what only an operator can act on. Data that can't be read is left out.
func dataFor(e events.Event) json.RawMessage {
	switch e.Type {
	case events.OrderRejected{}.EventType():
		return change(e, func(p *events.OrderRejected) any { p.Reason = told(p.Reason); return p })
	case events.OrderCancelled{}.EventType():
		return change(e, func(p *events.OrderCancelled) any { p.Reason = told(p.Reason); return p })
	case events.OrderReversed{}.EventType():
		return change(e, func(p *events.OrderReversed) any { p.Reason = told(p.Reason); return p })
	case events.OrderParked{}.EventType():
		return change(e, func(p *events.OrderParked) any { return onlyOrder{p.OrderID} })
	case events.OrderResumed{}.EventType():
		return change(e, func(p *events.OrderResumed) any { return onlyOrder{p.OrderID} })
	default:
		return e.Data
	}
}

// onlyOrder is what a customer is shown of an event about the work of operators.
type onlyOrder struct {
	OrderID string `json:"order_id"`
}

func change[P events.Payload](e events.Event, of func(*P) any) json.RawMessage {
	payload, err := events.As[P](e)
	if err != nil {
		return json.RawMessage("{}")
	}
	data, err := json.Marshal(of(&payload))
	if err != nil {
		return json.RawMessage("{}")
	}
	return data
}
