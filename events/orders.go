package events

// Line is one line of an order.
type Line struct {
	SKU            string `json:"sku"`
	Quantity       int64  `json:"quantity"`
	UnitPriceMinor int64  `json:"unit_price_minor"`
}

// OrderCreated says that an order was accepted at the prices shown. Nothing is reserved or charged yet.
type OrderCreated struct {
	OrderID    string `json:"order_id"`
	CustomerID string `json:"customer_id"`
	TotalMinor int64  `json:"total_minor"`
	Currency   string `json:"currency"`
	Lines      []Line `json:"lines"`
}

// OrderConfirmed says that the order can no longer be cancelled; its money is held and its stock reserved.
type OrderConfirmed struct {
	OrderID    string `json:"order_id"`
	CustomerID string `json:"customer_id"`
	TotalMinor int64  `json:"total_minor"`
	Currency   string `json:"currency"`
}

// OrderCompleted says that the order is paid for and handed over. It is one of the four ends.
type OrderCompleted struct {
	OrderID    string `json:"order_id"`
	CustomerID string `json:"customer_id"`
	TotalMinor int64  `json:"total_minor"`
	Currency   string `json:"currency"`
}

// OrderRejected says that the business said no, such as "out_of_stock" or the provider's "insufficient_funds"; everything is undone.
type OrderRejected struct {
	OrderID    string `json:"order_id"`
	CustomerID string `json:"customer_id"`
	Reason     string `json:"reason"` // the code of the no
}

// OrderCancelled says that the order was called off before it was confirmed; everything is undone.
type OrderCancelled struct {
	OrderID    string `json:"order_id"`
	CustomerID string `json:"customer_id"`
	Reason     string `json:"reason"` // a code, such as "cancel_requested"
}

// OrderReversed says that an order that was confirmed could not be finished and was undone as a whole.
type OrderReversed struct {
	OrderID    string `json:"order_id"`
	CustomerID string `json:"customer_id"`
	Reason     string `json:"reason"` // a code, such as "capture_refused"
}

// OrderParked says that a step or an undo of the order keeps failing, and an operator should look.
type OrderParked struct {
	OrderID string `json:"order_id"`
	Step    string `json:"step"`   // which step, such as "capture"
	Reason  string `json:"reason"` // the code of its last failure, such as "payment_outcome_unknown"
}

// OrderResumed says that a parked order moves again.
type OrderResumed struct {
	OrderID string `json:"order_id"`
	Step    string `json:"step"`
}

func (OrderCreated) EventType() string   { return "order.created.v1" }
func (OrderConfirmed) EventType() string { return "order.confirmed.v1" }
func (OrderCompleted) EventType() string { return "order.completed.v1" }
func (OrderRejected) EventType() string  { return "order.rejected.v1" }
func (OrderCancelled) EventType() string { return "order.cancelled.v1" }
func (OrderReversed) EventType() string  { return "order.reversed.v1" }
func (OrderParked) EventType() string    { return "order.parked.v1" }
func (OrderResumed) EventType() string   { return "order.resumed.v1" }
