package api

import (
	"encoding/json"

	"example.com/orderly/events"
	"example.com/orderly/internal/reasons"
)

// toldEvents are the types of events that customers are shown the data of, each with what of it. Fields that its payload does not have are
// left out. Of a type that is not here they are shown which order it is about, and nothing else.
var toldEvents = map[string]func(e events.Event) (any, error){}

func init() {
	tell(func(p events.OrderCreated) any { return p })
	tell(func(p events.OrderConfirmed) any { return p })
	tell(func(p events.OrderCompleted) any { return p })
	tell(func(p events.OrderRejected) any { p.Reason = reasons.Told(p.Reason); return p })
	tell(func(p events.OrderCancelled) any { p.Reason = reasons.Told(p.Reason); return p })
	tell(func(p events.OrderReversed) any { p.Reason = reasons.Told(p.Reason); return p })
	// Which step fails and why is for operators.
	tell(func(p events.OrderParked) any { return onlyOrder{p.OrderID} })
	tell(func(p events.OrderResumed) any { return onlyOrder{p.OrderID} })

	tell(func(p events.InventoryReserved) any { return p })
	tell(func(p events.InventoryRejected) any { p.Reason = reasons.Told(p.Reason); return p })
	tell(func(p events.InventoryReleased) any { return p })

	tell(func(p events.PaymentAuthorized) any { return p })
	tell(func(p events.PaymentDeclined) any { p.Reason = reasons.Told(p.Reason); return p })
	tell(func(p events.PaymentVoided) any { return p })
	tell(func(p events.PaymentCaptured) any { return p })
	tell(func(p events.PaymentRefunded) any { return p })
}

func tell[P events.Payload](of func(P) any) {
	var payload P
	toldEvents[payload.EventType()] = func(e events.Event) (any, error) {
		payload, err := events.As[P](e)
		return of(payload), err
	}
}

// onlyOrder is what a customer is shown of an event that says nothing else for them.
type onlyOrder struct {
	OrderID string `json:"order_id"`
}

// dataFor is an event's data as customers are shown it. Data that can't be read is left out.
func dataFor(e events.Event) json.RawMessage {
	var shown any = onlyOrder{e.Subject}
	if of, known := toldEvents[e.Type]; known {
		var err error
		if shown, err = of(e); err != nil {
			return json.RawMessage("{}")
		}
	}
	data, err := json.Marshal(shown)
	if err != nil {
		return json.RawMessage("{}")
	}
	return data
}
