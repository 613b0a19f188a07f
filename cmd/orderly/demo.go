package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/node"
	"example.com/orderly/internal/node/config"
)

func demoCommand() *cobra.Command {
	var api, provider string
	var asJSON bool
	command := &cobra.Command{
		Use:   "demo",
		Short: "Place six orders that go right and wrong in the ways that matter, and check what became of them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := demo.Demo{Out: cmd.OutOrStdout(), Progress: cmd.OutOrStdout(), AsJSON: asJSON}
			if asJSON {
				d.Progress = cmd.ErrOrStderr()
			}
			if api != "" {
				return d.Run(cmd.Context(), demo.NewClient(api, provider))
			}
			return demoOnOwnNode(cmd.Context(), d)
		},
	}
	command.Flags().StringVar(&api, "url", "", "the API of a running system, such as http://127.0.0.1:8080 (default: start a private one)")
	command.Flags().StringVar(&provider, "sandbox-url", "http://127.0.0.1:8090", "the sandbox payment provider of that system")
	command.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per order")
	return command
}

// demoOnOwnNode runs the demo on a node of its own: free ports, a temporary folder, no server that the environment names.
func demoOnOwnNode(ctx context.Context, d demo.Demo) (err error) {
	dir, err := os.MkdirTemp("", "orderly-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cfg := config.Config{
		Data: dir, APIAddr: "127.0.0.1:0", OperatorAddr: "127.0.0.1:0", SandboxAddr: "127.0.0.1:0", TemporalPort: "0", TemporalUIPort: "0",
		MailFrom: "Orderly <shop@orderly.example>", Products: "demo", LogFormat: "text", LogLevel: "error",
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	n, err := node.Open(ctx, cfg, node.Options{
		Roles: node.AllRoles(), Develop: true, Say: d.Say,
		Log: slog.New(slog.NewTextHandler(d.Progress, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()

	select {
	case <-n.Ready:
		err = d.Run(ctx, demo.NewClient("http://"+n.APIAddr, "http://"+n.SandboxAddr))
		stop()
		return errors.Join(err, <-ended)
	case err := <-ended:
		if err == nil {
			err = context.Cause(ctx)
		}
		return err
	}
}
