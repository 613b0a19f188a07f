package activities

import (
	"context"
	"slices"

	"go.temporal.io/sdk/worker"

	"example.com/orderly/internal/fault"
)

// Answer answers the activity called name in place of its service. result is the result of a query, and nil for a call. err goes to the
// workflow as it is: a fault of a service is not translated.
type Answer func(ctx context.Context, name string, in any) (result any, err error)

// RegisterStandIns registers, for each activity of a task queue, one that returns what answer does.
func RegisterStandIns(r worker.ActivityRegistry, queue string, answer Answer) {
	for _, d := range declared {
		if d.queue == queue {
			d.standIn(r, answer)
		}
	}
}

var errElsewhere = fault.New(fault.Unavailable, "service_elsewhere", "the service runs in another process")

// RegisterElsewhere stands in for a service that this process does not run, on the queue of inline sagas. A saga may have been started
// inline by a process that ran every service: what it asks for here is refused at once, and then done where the service is. The
// refusal is recorded in the history like any outcome, under a code that says why.
func RegisterElsewhere(r worker.ActivityRegistry, queue string) {
	RegisterStandIns(r, queue, func(context.Context, string, any) (any, error) { return nil, translate(errElsewhere) })
}

// Names are the names of all activities, in the order of their declaration.
func Names() []string {
	names := make([]string, len(declared))
	for i, d := range declared {
		names[i] = d.name
	}
	return names
}

// Queues are the task queues that sagas ask for activities on, in the order of their declaration.
func Queues() []string {
	var queues []string
	for _, d := range declared {
		if !slices.Contains(queues, d.queue) {
			queues = append(queues, d.queue)
		}
	}
	return queues
}
