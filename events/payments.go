package events

// PaymentAuthorized says that the amount is held on the customer's means of payment.
type PaymentAuthorized struct {
	OrderID     string `json:"order_id"`
	AmountMinor int64  `json:"amount_minor"`
	Currency    string `json:"currency"`
}

// PaymentDeclined says that the provider refused to hold the amount; Reason is its code, such as "insufficient_funds".
type PaymentDeclined struct {
	OrderID     string `json:"order_id"`
	AmountMinor int64  `json:"amount_minor"`
	Currency    string `json:"currency"`
	Reason      string `json:"reason"`
}

// PaymentVoided says that the amount is no longer held, and none of it was kept.
type PaymentVoided struct {
	OrderID     string `json:"order_id"`
	AmountMinor int64  `json:"amount_minor"`
	Currency    string `json:"currency"`
}

// PaymentCaptured says that the amount was charged.
type PaymentCaptured struct {
	OrderID     string `json:"order_id"`
	AmountMinor int64  `json:"amount_minor"`
	Currency    string `json:"currency"`
}

// PaymentRefunded says that the amount was given back.
type PaymentRefunded struct {
	OrderID     string `json:"order_id"`
	AmountMinor int64  `json:"amount_minor"`
	Currency    string `json:"currency"`
}

func (PaymentAuthorized) EventType() string { return "payment.authorized.v1" }
func (PaymentDeclined) EventType() string   { return "payment.declined.v1" }
func (PaymentVoided) EventType() string     { return "payment.voided.v1" }
func (PaymentCaptured) EventType() string   { return "payment.captured.v1" }
func (PaymentRefunded) EventType() string   { return "payment.refunded.v1" }
