package node

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/worker"

	"example.com/orderly/activities"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/workers"
	"example.com/orderly/workflows"
)

// Role is what a process can do for the system.
type Role struct {
	Name, Does string
	// health is where a process without the API answers about its health, unless ORDERLY_HEALTH_ADDR says otherwise.
	health string
	// owns are the services whose databases it is of no use without; others are those it reads, and can do without for a while.
	owns, others []string
	open         func(s *Stack, ctx context.Context) error
}

// Roles are all there are.
var Roles = []Role{
	{
		"api", "takes orders over HTTP, and customers", "",
		[]string{"orders", "users"}, []string{"inventory", "notifications", "journal"}, (*Stack).openAPI,
	},
	{"orders", "runs the sagas, and starts those that were left", "127.0.0.1:8081", []string{"orders"}, nil, (*Stack).openOrdersRole},
	{"inventory", "reserves stock", "127.0.0.1:8082", []string{"inventory"}, nil, (*Stack).openInventoryRole},
	{"payments", "authorises, captures, gives back", "127.0.0.1:8083", []string{"payments"}, nil, (*Stack).openPaymentsRole},
	{
		"listeners", "writes mails and the journal", "127.0.0.1:8084",
		[]string{"notifications", "journal"}, []string{"users"}, (*Stack).openListenersRole,
	},
}

func (r Role) databases() []string { return slices.Concat(r.owns, r.others) }

// RolesNamed finds the roles; "all" is every one of them.
func RolesNamed(names []string) ([]Role, error) {
	if slices.Equal(names, []string{"all"}) {
		return Roles, nil
	}
	var found []Role
	for _, r := range Roles {
		if slices.Contains(names, r.Name) {
			found = append(found, r)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(Roles, func(r Role) bool { return r.Name == name }) {
			return nil, fmt.Errorf("there is no role %q: there are %s, and all", name, strings.Join(RoleNames(Roles), ", "))
		}
	}
	return found, nil
}

// RoleNames are the names of these roles.
func RoleNames(roles []Role) []string {
	var names []string
	for _, r := range roles {
		names = append(names, r.Name)
	}
	return names
}

func has(roles []Role, name string) bool { return slices.Contains(RoleNames(roles), name) }

// usesTemporal reports whether one of the roles talks to Temporal: all but the listeners do.
func usesTemporal(of []Role) bool {
	return slices.ContainsFunc(of, func(r Role) bool { return r.Name != "listeners" })
}

// HTTPAddr is where a process with these roles listens, and the variable that says so.
func HTTPAddr(c config.Config, of []Role) (setting, addr string) {
	if has(of, "api") {
		return "ORDERLY_API_ADDR", c.APIAddr
	}
	if c.HealthAddr != "" {
		return "ORDERLY_HEALTH_ADDR", c.HealthAddr
	}
	return "ORDERLY_HEALTH_ADDR", of[0].health
}

// Servable reports what is missing for these roles. One process with every role can bring its own parts; several processes have to
// share them.
func Servable(c config.Config, of []Role) error {
	missing := func(variable, why string) error {
		return fmt.Errorf("serve %s needs %s: %s", strings.Join(RoleNames(of), " "), variable, why)
	}
	if len(of) < len(Roles) {
		if c.Inline {
			return fmt.Errorf("serve %s can't be --inline: a saga's steps are only at hand where one process runs every role: serve all --inline",
				strings.Join(RoleNames(of), " "))
		}
		for _, r := range of {
			if setting := c.EmbeddedDatabase(r.databases()); setting != "" {
				return missing(setting, "processes of different roles share their databases, such as postgres://user@host:5432/orderly")
			}
		}
		if c.RabbitMQURL == "" {
			return missing("RABBITMQ_URL", "events go from process to process through RabbitMQ, such as amqp://user:password@host:5672/")
		}
		if c.TemporalAddress == "" && usesTemporal(of) {
			return missing("TEMPORAL_ADDRESS", "processes of different roles share a Temporal server, such as host:7233")
		}
	}
	if c.EmbedsProvider() && (has(of, "api") || has(of, "payments")) {
		return missing("STRIPE_API_KEY or STRIPE_API_URL",
			"no money moves unless a provider is named: Stripe's key, or the address of a sandbox (orderly sandbox)")
	}
	return nil
}

// openAPI opens what the API reads and writes. It shows stock, mails and the journal, and can do without.
func (s *Stack) openAPI(ctx context.Context) error {
	for _, open := range []func(context.Context) error{s.openOrders, s.openUsers, s.openInventory, s.openGateway, s.openJournal} {
		if err := open(ctx); err != nil {
			return err
		}
	}
	if err := s.openNotifications(ctx, nil); err != nil {
		return err
	}
	s.relays("users") // the users service has no steps and no process of its own
	return nil
}

func (s *Stack) openOrdersRole(ctx context.Context) error {
	if err := s.openOrders(ctx); err != nil {
		return err
	}
	s.relays("orders")
	s.registry.MustRegister(workers.Attention{Orders: s.orders})
	s.queues[activities.OrdersQueue] = func(r worker.Registry) {
		workflows.Register(r)
		activities.RegisterOrders(r, s.orders)
	}
	// Also where nothing is started inline: a process that did so may have been replaced by this one.
	s.queues[activities.InlineQueue] = func(r worker.Registry) {
		s.queues[activities.OrdersQueue](r)
		for _, queue := range []string{activities.InventoryQueue, activities.PaymentsQueue} {
			if registerService := s.queues[queue]; registerService != nil {
				registerService(r)
			} else {
				activities.RegisterElsewhere(r, queue)
			}
		}
	}
	s.starter.Inline(s.cfg.Inline)
	return nil
}

func (s *Stack) openInventoryRole(ctx context.Context) error {
	if err := s.openInventory(ctx); err != nil {
		return err
	}
	s.relays("inventory")
	s.queues[activities.InventoryQueue] = func(r worker.Registry) { activities.RegisterInventory(r, s.inventory) }
	return nil
}

func (s *Stack) openPaymentsRole(ctx context.Context) error {
	if err := s.openPayments(ctx); err != nil {
		return err
	}
	s.relays("payments")
	s.queues[activities.PaymentsQueue] = func(r worker.Registry) { activities.RegisterPayments(r, s.payments) }
	return nil
}
