package events

// Stock is a quantity of one SKU.
type Stock struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// InventoryReserved says that every line of the order is held for it.
type InventoryReserved struct {
	OrderID string  `json:"order_id"`
	Lines   []Stock `json:"lines"`
}

// InventoryRejected says that at least one line cannot be served, and nothing is held.
type InventoryRejected struct {
	OrderID string `json:"order_id"`
	Reason  string `json:"reason"` // "out_of_stock" or "unknown_sku"
}

// InventoryReleased says that what was held for the order is free again.
type InventoryReleased struct {
	OrderID string  `json:"order_id"`
	Lines   []Stock `json:"lines"`
}

// StockAdjusted says that the count of a SKU was changed by hand; the subject is the SKU.
type StockAdjusted struct {
	SKU    string `json:"sku"`
	Change int64  `json:"change"`  // negative for less
	OnHand int64  `json:"on_hand"` // after the change
	Note   string `json:"note,omitempty"`
}

func (InventoryReserved) EventType() string { return "inventory.reserved.v1" }
func (InventoryRejected) EventType() string { return "inventory.rejected.v1" }
func (InventoryReleased) EventType() string { return "inventory.released.v1" }
func (StockAdjusted) EventType() string     { return "stock.adjusted.v1" }
