package node

import (
	"context"
	"slices"

	"go.temporal.io/sdk/worker"

	"example.com/orderly/activities"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/journal"
	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/operators"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/system"
	"example.com/orderly/internal/users"
)

// Role is what a process can do for the system.
type Role struct {
	Name, Does string
	// port says that the role has an HTTP port of its own, beside that for health.
	port bool
	// health is where a process without the API answers about its health, unless ORDERLY_HEALTH_ADDR says otherwise.
	health string
}

// roles is the table of roles.
var roles = Roles{
	{Name: "api", Does: "takes orders over HTTP, and customers", port: true},
	{Name: "orders", Does: "runs the sagas, and starts those that were not started", health: "127.0.0.1:8081"},
	{Name: "inventory", Does: "reserves stock", health: "127.0.0.1:8082"},
	{Name: "payments", Does: "authorises, captures, gives back", health: "127.0.0.1:8083"},
	{Name: "listeners", Does: "writes mails and the journal", health: "127.0.0.1:8084"},
	{Name: "operator", Does: "serves operators, on a port of their own", port: true, health: "127.0.0.1:8086"},
}

// Service is one entry of the table of services: all that the program must be told about a service. Every other list derives from the
// table, or a test compares it with the table.
type Service struct {
	Name       string
	Migrations func() []database.Migrations
	// Role is where the service runs: a process with this role needs its database, relays its outbox, polls its task queue and works off
	// its inbox.
	Role string
	// NeededBy are other roles that are of no use without its database. ReadBy are roles that can do without it for a while.
	NeededBy, ReadBy []string
	// Outbox says that the service announces events.
	Outbox bool
	// Queue is the task queue of its activities; empty without.
	Queue string
	// Listens are the subscriptions of its listeners, whose inbox is in its database.
	Listens []listen.Subscription
	// open makes the service on its database, in a process with a role that runs, needs or reads it. Services are opened in the order of
	// the table. What it returns is used where the service runs.
	open func(ctx context.Context, n *Node, st *store) (handlers, error)
}

// handlers are the activities and listeners of a service, for a process that runs it.
type handlers struct {
	activities func(r worker.Registry)
	listeners  []listen.Listener
}

// Services is the table of services. One that asks another comes after it.
var Services = []Service{
	{
		Name: "orders", Migrations: orders.Migrations, Role: "orders", NeededBy: []string{"api"}, Outbox: true, Queue: activities.OrdersQueue,
		open: func(_ context.Context, n *Node, st *store) (handlers, error) {
			n.orders = orders.New(st.box, n.metrics)
			return handlers{activities: func(r worker.Registry) { activities.RegisterOrders(r, n.orders) }}, nil
		},
	},
	{
		Name: "inventory", Migrations: inventory.Migrations, Role: "inventory", ReadBy: []string{"api"}, Outbox: true,
		Queue: activities.InventoryQueue,
		open: func(_ context.Context, n *Node, st *store) (handlers, error) {
			n.inventory = inventory.New(st.box)
			return handlers{activities: func(r worker.Registry) { activities.RegisterInventory(r, n.inventory) }}, nil
		},
	},
	{
		Name: "payments", Migrations: payments.Migrations, Role: "payments", Outbox: true, Queue: activities.PaymentsQueue,
		open: func(_ context.Context, n *Node, st *store) (handlers, error) {
			service := payments.New(st.box, n.provider.gateway)
			return handlers{activities: func(r worker.Registry) { activities.RegisterPayments(r, service) }}, nil
		},
	},
	{
		// No saga asks this service for a step, and it runs in the API's process. Its database is also where operators are.
		Name: "users", Migrations: usersMigrations, Role: "api", NeededBy: []string{"operator"}, ReadBy: []string{"listeners"}, Outbox: true,
		open: func(ctx context.Context, n *Node, st *store) (_ handlers, err error) {
			if n.cache, err = openCache(n.process); err != nil {
				return handlers{}, err
			}
			n.users = users.NewCache(n.cache, users.New(st.box, nil), users.CacheOptions{
				Prefix: cachePrefix(n.cfg), System: n.system, Metrics: users.NewMetrics(n.metrics), Log: n.log,
			})
			n.closers.Add(func() error { n.users.Close(); return nil })
			if n.roles.Has("operator") {
				n.operators = operators.New(st.db, operators.Options{Log: n.log, Metrics: operators.NewMetrics(n.metrics)})
			}
			return handlers{}, checkRedis(ctx, n.process, n.cache, n.users)
		},
	},
	{
		Name: "notifications", Migrations: notifications.Migrations, Role: "listeners", ReadBy: []string{"api"},
		Listens: []listen.Subscription{notifications.Subscription},
		open:    openNotifications,
	},
	{
		Name: "journal", Migrations: journal.Migrations, Role: "listeners", ReadBy: []string{"api"},
		Listens: []listen.Subscription{journal.Subscription},
		open: func(_ context.Context, n *Node, st *store) (handlers, error) {
			n.journal = journal.New(st.db)
			return handlers{listeners: []listen.Listener{n.journal.Listener()}}, nil
		},
	},
}

// usersMigrations are the tables of customers and those of operators.
func usersMigrations() []database.Migrations {
	return append(users.Migrations(), operators.Migrations())
}

// openNotifications opens the notifications service. Addresses come from the users service through its cache, not from events.
func openNotifications(ctx context.Context, n *Node, st *store) (_ handlers, err error) {
	addresses := func(ctx context.Context, customerID string) (notifications.Address, error) {
		profile, err := n.users.Profile(ctx, customerID)
		return notifications.Address{Email: profile.Email, Name: profile.Name}, err
	}
	options := notifications.Options{Addresses: addresses, Log: n.log}
	if st.runs { // elsewhere mails are only shown
		options.Metrics = notifications.NewMetrics(n.metrics)
		if options.Sender, options.From, err = openSender(ctx, n.process); err != nil {
			return handlers{}, err
		}
	}
	n.notifications = notifications.New(st.db, options)
	if st.runs {
		if err = n.notifications.RememberDomain(ctx); err != nil {
			return handlers{}, err
		}
	}
	return handlers{listeners: []listen.Listener{n.notifications.Listener()}}, nil
}

// ServiceNames are the names of all services.
func ServiceNames() []string {
	var names []string
	for _, s := range Services {
		names = append(names, s.Name)
	}
	return names
}

// schema is what is in the service's database: its own tables, and the system that it belongs to.
func (s Service) schema() []database.Migrations { return append(s.Migrations(), system.Migrations()) }

// queues are the task queues of all services.
func queues() []string {
	var all []string
	for _, s := range Services {
		if s.Queue != "" {
			all = append(all, s.Queue)
		}
	}
	return all
}

// Subscriptions are those of all built-in listeners.
func Subscriptions() []listen.Subscription {
	var all []listen.Subscription
	for _, s := range Services {
		all = append(all, s.Listens...)
	}
	return all
}

// Sources are the services that announce events.
func Sources() []string {
	var all []string
	for _, s := range Services {
		if s.Outbox {
			all = append(all, s.Name)
		}
	}
	return all
}

// requiredBy reports that a process with this role is of no use without the service's database.
func (s Service) requiredBy(role string) bool {
	return s.Role == role || slices.Contains(s.NeededBy, role)
}

// usedBy reports that a process with this role opens the service's database.
func (s Service) usedBy(role string) bool {
	return s.requiredBy(role) || slices.Contains(s.ReadBy, role)
}
