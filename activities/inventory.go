package activities

import (
	"context"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/internal/inventory"
)

const (
	reserveStock = "inventory.reserve"
	releaseStock = "inventory.release"
)

// Inventory runs the inventory service's steps.
type Inventory struct{ Service *inventory.Service }

// Register makes the activities known to a worker.
func (a Inventory) Register(r worker.ActivityRegistry) {
	register(r, reserveStock, a.reserve)
	register(r, releaseStock, a.release)
}

func (a Inventory) reserve(ctx context.Context, in inventory.Reservation) error {
	return translate(a.Service.Reserve(ctx, in))
}

func (a Inventory) release(ctx context.Context, in inventory.Release) error {
	return translate(a.Service.Release(ctx, in))
}

// Reserve holds every line for the order, all or nothing. Refusals: out_of_stock, unknown_sku.
func Reserve(ctx workflow.Context, in inventory.Reservation) error {
	return call(ctx, reserveStock, InventoryQueue, in)
}

// Release gives back what the order holds; it succeeds when there is nothing.
func Release(ctx workflow.Context, in inventory.Release) error {
	return call(ctx, releaseStock, InventoryQueue, in)
}
