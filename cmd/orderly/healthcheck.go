package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/orderly/internal/node"
)

// healthTimeout bounds the request. The process answers within two seconds, even when what it needs is down.
const healthTimeout = 5 * time.Second

func healthcheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck ROLE...",
		Short: "Ask the process with these roles on this machine whether it is ready; exits 0 if it is",
		Long: "Ask the process that was started as serve ROLE..., or as sandbox, whether it is ready. It is looked for where the same\n" +
			"environment would have it listen.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := node.FromEnvironment()
			if err != nil {
				return err
			}
			target := "http://" + nearby(cfg.SandboxAddr) + "/healthz"
			if args[0] != "sandbox" {
				of, err := node.RolesNamed(args)
				if err != nil {
					return err
				}
				_, addr := of.HealthAddr(cfg)
				target = "http://" + nearby(addr) + "/readyz"
			}
			answer, err := askHealth(cmd.Context(), target)
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), answer)
			}
			return err
		},
	}
}

func askHealth(ctx context.Context, target string) (answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return "", err
	}
	answer = strings.TrimSpace(string(body))
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s: %s", target, response.Status, answer)
	}
	return answer, nil
}

// nearby is where to reach on this machine what listens on addr.
func nearby(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
		return net.JoinHostPort(host, port)
	}
	return addr
}
