package events

// Catalogue lists one empty payload of every type that is published.
func Catalogue() []Payload {
	return []Payload{
		OrderCreated{}, OrderConfirmed{}, OrderCompleted{}, OrderRejected{}, OrderCancelled{}, OrderReversed{},
		OrderParked{}, OrderResumed{},
		InventoryReserved{}, InventoryRejected{}, InventoryReleased{}, StockAdjusted{},
		PaymentAuthorized{}, PaymentDeclined{}, PaymentVoided{}, PaymentCaptured{}, PaymentRefunded{},
		UserRegistered{}, UserUpdated{}, UserDeleted{},
	}
}
