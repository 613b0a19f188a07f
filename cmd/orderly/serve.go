package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"example.com/orderly/internal/node"
	"example.com/orderly/internal/node/lifecycle"
)

const inlineUsage = "first try each step of a saga in the process that runs it: faster, with less to see in Temporal's web UI"

func serveCommand() *cobra.Command {
	var inline bool
	long := "Run one role of the system in this process, or some, or all:\n"
	for _, r := range node.AllRoles() {
		long += fmt.Sprintf("\n  %-10s %s", r.Name, r.Does)
	}
	command := &cobra.Command{
		Use:   "serve ROLE...",
		Short: "Run one role of the system, some, or all",
		Long:  long + "\n\nDatabases are made and brought up to date beforehand, by orderly migrate.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("serve what? Name roles: %s, or all", strings.Join(node.AllRoles().Names(), ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			of, err := node.RolesNamed(args)
			if err != nil {
				return err
			}
			cfg, err := node.FromEnvironment()
			if err != nil {
				return err
			}
			cfg.Inline = inline
			if err := of.CheckServable(cfg); err != nil {
				return err
			}
			log := cfg.Logger(cmd.ErrOrStderr()).With("roles", strings.Join(of.Names(), ","))
			n, err := node.Open(cmd.Context(), cfg, node.Options{Roles: of, Log: log, Say: func(line string) { log.Info(line) }})
			if err != nil {
				return lifecycle.UnlessStopped(cmd.Context(), err)
			}
			return n.Run(cmd.Context(), lifecycle.Part{Name: "greeting", Run: func(ctx context.Context) error { return announce(ctx, n, log) }})
		},
	}
	command.Flags().BoolVar(&inline, "inline", false, "with all: "+inlineUsage)
	return command
}

// announce logs the addresses, and when every part works.
func announce(ctx context.Context, n *node.Node, log *slog.Logger) error {
	for _, port := range n.Ports() {
		log.Info("listening on http://"+port.Addr, "for", port.For)
	}
	select {
	case <-n.Ready:
		log.Info("ready")
		<-ctx.Done()
	case <-ctx.Done():
	}
	return nil
}
