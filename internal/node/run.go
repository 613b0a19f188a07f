package node

import (
	"context"
	"errors"

	"example.com/orderly/internal/node/lifecycle"
	"example.com/orderly/workers"
)

// Run runs every part until ctx ends or one of them fails, stops them in reverse order, and closes what was opened. Each part stands
// below those that it uses, so that these still run while it stops. more is stopped first. When ctx ends, a process that drains goes on
// with all parts for that time, and only then begins to stop.
func (n *Node) Run(ctx context.Context, more ...lifecycle.Part) error {
	ctx, cancel := n.fronts.serveOn(ctx, n.log, n.drainTime())
	defer cancel()
	var parts []lifecycle.Part
	when := func(needed bool, name string, run func(ctx context.Context) error) {
		if needed {
			parts = append(parts, lifecycle.Part{Name: name, Run: run})
		}
	}
	orders := n.roles.Has("orders")
	when(n.sagas.connection != nil, "temporal", n.sagas.connection.Run)
	when(n.SandboxAddr != "", "sandbox provider", n.provider.serve)
	for _, inbox := range n.messaging.inboxes {
		when(true, "listeners", inbox.Run)
	}
	when(n.messaging.consumer != nil, "consumer", n.messaging.consumer.Run)
	when(true, "housekeeping", n.housekeeping().Run)
	when(n.messaging.relay != nil, "relay", n.messaging.relay.Run)
	when(n.messaging.caller != nil, "roll caller", n.messaging.caller.Run)
	when(true, "workers", func(ctx context.Context) error {
		return n.sagas.work(ctx, n.process, queues(), func() { close(n.Ready) })
	})
	when(n.sagas.starter != nil, "starter", n.sagas.starter.Run)
	when(orders, "sweeper", (&workers.Sweeper{Starter: n.sagas.starter, Orders: n.orders, Log: n.log}).Run)
	when(orders, "reconciler", (&workers.Reconciler{Starter: n.sagas.starter, Orders: n.orders, Log: n.log}).Run)
	when(n.profiles != nil, "profiles", func(ctx context.Context) error {
		return lifecycle.Serve(profiles(), n.profiles).UntilDone(ctx, nil)
	})
	parts = append(parts, n.fronts.parts()...)
	return errors.Join(lifecycle.Run(ctx, n.log, append(parts, more...)), n.closers.Close())
}

// housekeeping deletes what the roles of this process leave behind.
func (n *Node) housekeeping() *workers.Housekeeping {
	h := &workers.Housekeeping{Boxes: n.messaging.outboxes, Inboxes: n.messaging.inboxes, Log: n.log}
	if n.roles.Has("orders") {
		h.Keys = n.orders.PruneKeys
	}
	if n.roles.Has("api") {
		h.Sessions, h.CacheKeys = append(h.Sessions, n.users.PruneSessions), n.users.RotateKeys
	}
	if n.roles.Has("operator") {
		h.Sessions = append(h.Sessions, n.operators.PruneSessions)
	}
	return h
}
