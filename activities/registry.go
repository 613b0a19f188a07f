package activities

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
)

// Registry is a worker's registry that remembers which activities it was given.
type Registry struct {
	worker.Registry
	names []string
}

// NewRegistry returns a registry that passes everything on to the worker's.
func NewRegistry(of worker.Registry) *Registry { return &Registry{Registry: of} }

// RegisterActivityWithOptions implements worker.ActivityRegistry.
func (r *Registry) RegisterActivityWithOptions(do any, options activity.RegisterOptions) {
	r.names = append(r.names, options.Name)
	r.Registry.RegisterActivityWithOptions(do, options)
}

// Complete returns an error that names an activity which sagas ask for on this task queue and which was not registered. A worker
// without it would fail each attempt at it, and take them away from workers that have it.
func (r *Registry) Complete(queue string) error {
	for _, d := range declared {
		if (d.queue == queue || queue == InlineQueue) && !slices.Contains(r.names, d.name) {
			return fmt.Errorf("task queue %s lacks the activity %s: register it where its service is registered", queue, d.name)
		}
	}
	return nil
}
