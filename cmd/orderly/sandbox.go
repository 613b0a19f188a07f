package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"example.com/orderly/internal/node"
	"example.com/orderly/internal/node/lifecycle"
	"example.com/orderly/internal/sandbox"
)

func sandboxCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sandbox",
		Short: "Run the sandbox payment provider alone",
		Long: "Run the sandbox payment provider alone, on ORDERLY_SANDBOX_ADDR, with its book in ORDERLY_DATA. Point the system at it\n" +
			"with STRIPE_API_URL.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			cfg, err := node.FromEnvironment()
			if err != nil {
				return err
			}
			listener, err := net.Listen("tcp", cfg.SandboxAddr)
			if err != nil {
				return fmt.Errorf("can't listen on %s (%w); choose another address with ORDERLY_SANDBOX_ADDR", cfg.SandboxAddr, err)
			}
			provider, err := sandbox.Open(cmd.Context(), sandbox.Config{
				Dir: filepath.Join(cfg.Data, "sandbox"), Addr: cfg.SandboxAddr, APIKey: cfg.StripeAPIKey, Now: time.Now,
				Logger: cfg.Logger(cmd.ErrOrStderr()),
			})
			if err != nil {
				return errors.Join(err, listener.Close())
			}
			_, _ = fmt.Fprintf(cmd.OutOrStdout(), "Sandbox  http://%s\n", listener.Addr())
			server := &http.Server{Handler: provider.Handler(), ReadHeaderTimeout: 5 * time.Second}
			return lifecycle.Serve(server, listener).UntilDone(cmd.Context(), provider.Close)
		},
	}
}
