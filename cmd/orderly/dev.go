package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"example.com/orderly/internal/node"
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
			cfg, err := node.FromEnvironment()
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
			n, err := node.Open(cmd.Context(), cfg, node.Options{
				Roles: node.AllRoles(), Develop: true, Log: cfg.Logger(cmd.ErrOrStderr()), Say: say,
			})
			if err != nil {
				return lifecycle.UnlessStopped(cmd.Context(), err)
			}
			say("API          http://" + n.APIAddr + "  (orders are accepted from now on, and wait for Temporal)")
			return n.Run(cmd.Context(), lifecycle.Part{Name: "greeting", Run: func(ctx context.Context) error { return greet(ctx, n, say) }})
		},
	}
	command.Flags().StringVar(&data, "data", "", "the folder everything is kept in (default: ORDERLY_DATA, or .orderly)")
	command.Flags().BoolVar(&inline, "inline", false, inlineUsage)
	return command
}

// greet prints the addresses once every part works, and a curl command that places an order.
func greet(ctx context.Context, n *node.Node, say func(line string)) error {
	select {
	case <-n.Ready:
		if err := printAddresses(ctx, n, say); err != nil {
			return lifecycle.UnlessStopped(ctx, err)
		}
		<-ctx.Done()
		return nil
	case <-ctx.Done():
		return nil
	}
}

func printAddresses(ctx context.Context, n *node.Node, say func(line string)) error {
	if at := n.TemporalUI(); at != "" {
		say("Temporal UI  " + at)
	}
	if n.SandboxAddr != "" {
		say("Sandbox      http://" + n.SandboxAddr + "/book  (payment methods: /payment_methods)")
	}
	if !n.Loopback() {
		say("Ready. No demo customer: the API listens on more than this machine.")
		return nil
	}
	token, err := n.SignIn(ctx, demoEmail, "Demo Customer")
	if err != nil {
		return fmt.Errorf("sign in the demo customer: %w", err)
	}
	say("Operators    http://" + n.OperatorAddr + "  (orderly operators add)")
	say("Ready. Place an order:\n")
	say(fmt.Sprintf(`curl -sS http://%s/v1/orders -H 'Authorization: Bearer %s' -H 'Idempotency-Key: "%s"' `+
		`-H 'Content-Type: application/json' -H 'Prefer: wait=10' -d '{"lines":[{"sku":"%s","quantity":1}],"payment_method":"pm_card_visa"}'`,
		n.APIAddr, token, uuid.NewString(), demoSKU))
	say("")
	return nil
}
