package activities

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/internal/inventory"
)

var (
	reserveStock = declare[inventory.Reservation](InventoryQueue, "inventory.reserve")
	releaseStock = declare[inventory.Release](InventoryQueue, "inventory.release")
)

// RegisterInventory makes the inventory service's steps known to a worker.
func RegisterInventory(r worker.ActivityRegistry, s *inventory.Service) {
	reserveStock.register(r, s.Reserve)
	releaseStock.register(r, s.Release)
}

// Reserve holds every line for the order, all or nothing. Refusals: out_of_stock, unknown_sku.
func Reserve(ctx workflow.Context, in inventory.Reservation) error { return reserveStock.run(ctx, in) }

// Release gives back what the order holds; it succeeds when there is nothing.
func Release(ctx workflow.Context, in inventory.Release) error { return releaseStock.run(ctx, in) }
