package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/worker"

	"example.com/orderly/activities"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/node/lifecycle"
	"example.com/orderly/workers"
	"example.com/orderly/workflows"
)

// role is what a process can do for the system.
type role struct {
	name, does string
	// health is where a process without the API answers about its health, unless ORDERLY_HEALTH_ADDR says otherwise.
	health string
	// owns are the services whose databases it is of no use without; others are those it reads, and can do without for a while.
	owns, others []string
	open         func(s *stack, ctx context.Context) error
}

var roles = []role{
	{
		"api", "takes orders over HTTP, and customers", "",
		[]string{"orders", "users"}, []string{"inventory", "notifications", "journal"}, (*stack).openAPI,
	},
	{"orders", "runs the sagas, and starts those that were left", "127.0.0.1:8081", []string{"orders"}, nil, (*stack).openOrdersRole},
	{"inventory", "reserves stock", "127.0.0.1:8082", []string{"inventory"}, nil, (*stack).openInventoryRole},
	{"payments", "authorises, captures, gives back", "127.0.0.1:8083", []string{"payments"}, nil, (*stack).openPaymentsRole},
	{
		"listeners", "writes mails and the journal", "127.0.0.1:8084",
		[]string{"notifications", "journal"}, []string{"users"}, (*stack).openListenersRole,
	},
}

func (r role) databases() []string { return slices.Concat(r.owns, r.others) }

// rolesNamed finds the roles; "all" is every one of them.
func rolesNamed(names []string) ([]role, error) {
	if slices.Equal(names, []string{"all"}) {
		return roles, nil
	}
	var found []role
	for _, r := range roles {
		if slices.Contains(names, r.name) {
			found = append(found, r)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(roles, func(r role) bool { return r.name == name }) {
			return nil, fmt.Errorf("there is no role %q: there are %s, and all", name, strings.Join(roleNames(roles), ", "))
		}
	}
	return found, nil
}

func roleNames(roles []role) []string {
	var names []string
	for _, r := range roles {
		names = append(names, r.name)
	}
	return names
}

func has(roles []role, name string) bool { return slices.Contains(roleNames(roles), name) }

// usesTemporal reports whether one of the roles talks to Temporal: all but the listeners do.
func usesTemporal(of []role) bool {
	return slices.ContainsFunc(of, func(r role) bool { return r.name != "listeners" })
}

// httpAddr is where a process with these roles listens, and the variable that says so.
func httpAddr(c config.Config, of []role) (setting, addr string) {
	if has(of, "api") {
		return "ORDERLY_API_ADDR", c.APIAddr
	}
	if c.HealthAddr != "" {
		return "ORDERLY_HEALTH_ADDR", c.HealthAddr
	}
	return "ORDERLY_HEALTH_ADDR", of[0].health
}

// servable reports what is missing for these roles. One process with every role can bring its own parts; several processes have to
// share them.
func servable(c config.Config, of []role) error {
	missing := func(variable, why string) error {
		return fmt.Errorf("serve %s needs %s: %s", strings.Join(roleNames(of), " "), variable, why)
	}
	if len(of) < len(roles) {
		if c.Inline {
			return fmt.Errorf("serve %s can't be --inline: a saga's steps are only at hand where one process runs every role: serve all --inline",
				strings.Join(roleNames(of), " "))
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

const inlineUsage = "try each step of a saga in this process first, beside the saga: faster, and less to see in Temporal's web UI"

func serveCommand() *cobra.Command {
	var inline bool
	long := "Run one role of the system in this process, or some, or all:\n"
	for _, r := range roles {
		long += fmt.Sprintf("\n  %-10s %s", r.name, r.does)
	}
	command := &cobra.Command{
		Use:   "serve ROLE...",
		Short: "Run one role of the system, some, or all",
		Long:  long + "\n\nDatabases are made and brought up to date beforehand, by orderly migrate.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("serve what? Name roles: %s, or all", strings.Join(roleNames(roles), ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			of, err := rolesNamed(args)
			if err != nil {
				return err
			}
			cfg, err := config.FromEnvironment(services)
			if err != nil {
				return err
			}
			cfg.Inline = inline
			if err := servable(cfg, of); err != nil {
				return err
			}
			log := cfg.Logger(cmd.ErrOrStderr()).With("roles", strings.Join(roleNames(of), ","))
			s, err := openStack(cmd.Context(), cfg, of, false, log, func(line string) { log.Info(line) })
			if err != nil {
				return lifecycle.UnlessStopped(cmd.Context(), err)
			}
			return s.run(cmd.Context(), lifecycle.Part{Name: "greeting", Run: s.announce})
		},
	}
	command.Flags().BoolVar(&inline, "inline", false, "with all: "+inlineUsage)
	return command
}

// announce says when everything works.
func (s *stack) announce(ctx context.Context) error {
	s.log.Info("listening on http://" + s.apiAddr)
	select {
	case <-s.ready:
		s.log.Info("ready")
		<-ctx.Done()
	case <-ctx.Done():
	}
	return nil
}

// openAPI opens what the API reads and writes. It shows stock, mails and the journal, and can do without.
func (s *stack) openAPI(ctx context.Context) error {
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

func (s *stack) openOrdersRole(ctx context.Context) error {
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

func (s *stack) openInventoryRole(ctx context.Context) error {
	if err := s.openInventory(ctx); err != nil {
		return err
	}
	s.relays("inventory")
	s.queues[activities.InventoryQueue] = func(r worker.Registry) { activities.RegisterInventory(r, s.inventory) }
	return nil
}

func (s *stack) openPaymentsRole(ctx context.Context) error {
	if err := s.openPayments(ctx); err != nil {
		return err
	}
	s.relays("payments")
	s.queues[activities.PaymentsQueue] = func(r worker.Registry) { activities.RegisterPayments(r, s.payments) }
	return nil
}
