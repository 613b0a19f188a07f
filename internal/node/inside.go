package node

import (
	"context"

	"github.com/redis/go-redis/v9"
	"go.temporal.io/sdk/client"

	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/workers"
)

// Inside holds the parts of a node that a benchmark measures or switches. The benchmark runs every role in its own process.
type Inside struct {
	Temporal client.Client
	Starter  *workers.Starter
	Orders   *orders.Service
	Database *database.DB // of orders
	Cache    redis.UniversalClient
	Outboxes map[string]*outbox.Outbox // by service
	Inboxes  []*listen.Inbox
	// Asked returns how many statements and transactions this process has run on all databases so far.
	Asked func() (statements, transactions int64)
}

// Inside waits until the node is connected to Temporal, and returns its parts. The node must have every role.
func (n *Node) Inside(ctx context.Context) (Inside, error) {
	temporal, err := n.sagas.connection.Await(ctx)
	if err != nil {
		return Inside{}, err
	}
	outboxes := map[string]*outbox.Outbox{}
	for _, s := range Services {
		if s.Outbox {
			outboxes[s.Name] = n.stores[s.Name].box
		}
	}
	return Inside{
		Temporal: temporal, Starter: n.sagas.starter, Orders: n.orders, Database: n.stores["orders"].db, Cache: n.cache,
		Outboxes: outboxes, Inboxes: n.messaging.inboxes,
		Asked: func() (statements, transactions int64) {
			for _, st := range n.stores {
				statements += st.statements()
				transactions += st.transactions()
			}
			return statements, transactions
		},
	}, nil
}
