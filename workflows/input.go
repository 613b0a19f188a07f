package workflows

import (
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/money"
	"example.com/orderly/internal/orders"
)

// OrderInput is what the saga of one order needs to know. Ids and amounts only: Temporal shows it to every operator. Histories hold it,
// and workers of another version read it, so it only gains optional fields.
type OrderInput struct {
	OrderID       string               `json:"order_id"`
	CustomerID    string               `json:"customer_id"`
	Lines         []inventory.Quantity `json:"lines"`
	TotalMinor    int64                `json:"total_minor"`
	Currency      string               `json:"currency"`
	PaymentMethod string               `json:"payment_method"`
	// Searchable says that the namespace knows our search attributes; using an unknown one would fail the workflow.
	Searchable bool `json:"searchable"`
	// Inline makes each forward step be tried first in the process that runs the saga. It is decided when the saga starts and holds
	// for all its runs.
	Inline bool `json:"inline,omitempty"`
	// Again says that an earlier saga of this order may have run: one that Temporal has lost. It is false for an order that was just
	// placed by the request that starts this saga.
	Again bool `json:"again,omitempty"`
	// Steps are the keys of the added steps that this saga has. It is decided when the saga starts and holds for all its runs, so that
	// a Reset of an order that was placed before a step existed does not meet that step.
	Steps []string `json:"steps,omitempty"`
	// Confirmed says that the order was confirmed before this saga was started. Then the saga does not take an added step that comes
	// before the pivot: an earlier saga took it, or the step did not exist yet. It undoes that step with the others all the same.
	Confirmed bool `json:"confirmed,omitempty"`
}

// InputFor is what the saga of an order is started with. searchable says that the namespace knows our search attributes, inline that
// this process runs every service, so that its steps may first be tried as local activities, and again that the order was not just placed.
func InputFor(o orders.Order, searchable, inline, again bool) OrderInput {
	in := OrderInput{
		OrderID: o.ID, CustomerID: o.CustomerID, TotalMinor: o.Total.Minor, Currency: o.Total.Currency,
		PaymentMethod: o.PaymentMethod, Searchable: searchable, Inline: inline,
		Again: again, Steps: addedSteps(), Confirmed: o.State != orders.Pending,
	}
	for _, line := range o.Lines {
		in.Lines = append(in.Lines, inventory.Quantity{SKU: line.SKU, Quantity: line.Quantity})
	}
	return in
}

func (in OrderInput) total() money.Money {
	return money.Money{Minor: in.TotalMinor, Currency: in.Currency}
}

// OrderResult is how the order ended. A rejected order is a result like any other; a failed workflow is a defect.
type OrderResult struct {
	State  orders.State `json:"state"`
	Reason string       `json:"reason,omitempty"`
}
