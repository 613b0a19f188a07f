package main

import (
	"context"
	"fmt"
	"net"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"example.com/orderly/internal/embedded"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/node/lifecycle"
)

const (
	demoEmail = "demo@example.com"
	demoSKU   = "MUG-BLUE"
)

func devCommand() *cobra.Command {
	var data string
	var inline bool
	command := &cobra.Command{
		Use:   "dev",
		Short: "Run the whole system in this process, with nothing else installed",
		Long: "Run the whole system in this process. Each of DATABASE_URL, RABBITMQ_URL, REDIS_URL, SMTP_URL, TEMPORAL_ADDRESS and\n" +
			"STRIPE_API_KEY that is set replaces the part that is embedded otherwise.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.FromEnvironment(services)
			if err != nil {
				return err
			}
			cfg.Inline = inline
			if data != "" {
				cfg.Data = data
			}
			if cfg.Products == "" {
				cfg.Products = "demo"
			}
			say := func(line string) { _, _ = fmt.Fprintln(cmd.OutOrStdout(), line) }
			s, err := openStack(cmd.Context(), cfg, roles, true, cfg.Logger(cmd.ErrOrStderr()), say)
			if err != nil {
				return lifecycle.UnlessStopped(cmd.Context(), err)
			}
			say("API          http://" + s.apiAddr + "  (orders are accepted from now on, and wait for Temporal)")
			return s.run(cmd.Context(), lifecycle.Part{Name: "greeting", Run: s.greet})
		},
	}
	command.Flags().StringVar(&data, "data", "", "the folder everything is kept in (default: ORDERLY_DATA, or .orderly)")
	command.Flags().BoolVar(&inline, "inline", false, inlineUsage)
	return command
}

// greet says where everything is, once everything is there, with a line that places an order as it stands.
func (s *stack) greet(ctx context.Context) error {
	select {
	case <-s.ready:
		if err := s.introduce(ctx); err != nil {
			return lifecycle.UnlessStopped(ctx, err)
		}
		<-ctx.Done()
		return nil
	case <-ctx.Done():
		return nil
	}
}

func (s *stack) introduce(ctx context.Context) error {
	if at := s.temporal.WebUI(); at != "" {
		s.say("Temporal UI  " + at)
	}
	if s.sandbox != nil {
		s.say("Sandbox      http://" + s.sandboxAddr + "/book  (payment methods: /payment_methods)")
	}
	if bound, ok := s.httpListener.Addr().(*net.TCPAddr); !ok || !bound.IP.IsLoopback() {
		s.say("Ready. No demo customer: the API listens on more than this machine.")
		return nil
	}
	customer, err := s.users.EnsureCustomer(ctx, demoEmail, "Demo Customer")
	if err != nil {
		return fmt.Errorf("make the demo customer: %w", err)
	}
	token, _, err := s.users.IssueSession(ctx, customer.ID)
	if err != nil {
		return fmt.Errorf("sign in the demo customer: %w", err)
	}
	s.say("Ready. Place an order:\n")
	s.say(fmt.Sprintf(`curl -sS http://%s/v1/orders -H 'Authorization: Bearer %s' -H 'Idempotency-Key: "%s"' `+
		`-H 'Content-Type: application/json' -H 'Prefer: wait=10' -d '{"lines":[{"sku":"%s","quantity":1}],"payment_method":"pm_card_visa"}'`,
		s.apiAddr, token, uuid.NewString(), demoSKU))
	s.say("")
	return nil
}

func temporalCommand() *cobra.Command {
	get := &cobra.Command{
		Use:   "get",
		Short: "Find the Temporal CLI, or fetch it beforehand; prints its path",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := embedded.TemporalCLI(cmd.Context(), embedded.CLIOptions{
				Say: func(line string) { _, _ = fmt.Fprintln(cmd.ErrOrStderr(), line) },
			})
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), path)
			}
			return err
		},
	}
	command := &cobra.Command{Use: "temporal", Short: "The Temporal server that dev runs"}
	command.AddCommand(get)
	return command
}
