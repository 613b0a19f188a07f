package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"example.com/orderly/internal/money"
)

func demoCommand() *cobra.Command {
	var api, provider string
	var asJSON bool
	command := &cobra.Command{
		Use:   "demo",
		Short: "Place six orders that go right and wrong in the ways that matter, and check what became of them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := demo{out: cmd.OutOrStdout(), progress: cmd.OutOrStdout(), asJSON: asJSON}
			if asJSON {
				d.progress = cmd.ErrOrStderr()
			}
			if api != "" {
				return d.run(cmd.Context(), newShop(api, provider))
			}
			return d.runPrivate(cmd.Context())
		},
	}
	command.Flags().StringVar(&api, "url", "", "the API of a running stack, such as http://127.0.0.1:8080 (default: start a private one)")
	command.Flags().StringVar(&provider, "sandbox-url", "http://127.0.0.1:8090", "the sandbox payment provider of that stack")
	command.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per order")
	return command
}

type demo struct {
	out      io.Writer
	progress io.Writer
	asJSON   bool
}

// runPrivate runs the demo on a stack of its own: free ports, a temporary folder, no server that the environment names.
func (d demo) runPrivate(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "orderly-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cfg := config{
		Data: dir, APIAddr: "127.0.0.1:0", SandboxAddr: "127.0.0.1:0", TemporalPort: "0", TemporalUIPort: "0",
		MailFrom: "Orderly <shop@orderly.example>", Products: "demo", LogFormat: "text", LogLevel: "error",
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s, err := openStack(ctx, cfg, roles, true, slog.New(slog.NewTextHandler(d.progress, &slog.HandlerOptions{Level: slog.LevelError})), d.say)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()

	select {
	case <-s.ready:
		err = d.run(ctx, newShop("http://"+s.apiAddr, "http://"+s.sandboxAddr))
		stop()
		return errors.Join(err, <-ended)
	case err := <-ended:
		if err == nil {
			err = context.Cause(ctx)
		}
		return err
	}
}

func (d demo) say(line string) { _, _ = fmt.Fprintln(d.progress, line) }

func (d demo) run(ctx context.Context, shop *shop) error {
	email := fmt.Sprintf("demo-%s@example.com", uuid.NewString()[:8])
	if err := shop.register(ctx, email, "Demo Customer", uuid.NewString()); err != nil {
		return err
	}
	var outcomes []outcome
	for _, s := range scenarios {
		d.say("\n" + s.name)
		o, err := s.play(ctx, shop, func(event string, at time.Time) {
			d.say("  " + at.Local().Format("15:04:05.000") + "  " + event)
		})
		if err != nil {
			return err
		}
		outcomes = append(outcomes, o)
		if d.asJSON {
			if err := json.NewEncoder(d.out).Encode(o); err != nil {
				return err
			}
		}
	}
	if !d.asJSON {
		if err := d.table(outcomes); err != nil {
			return err
		}
	}
	return verdict(outcomes)
}

func (d demo) table(outcomes []outcome) error {
	_, _ = fmt.Fprintln(d.out)
	table := tabwriter.NewWriter(d.out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "SCENARIO\tSTATE\tREASON\tCHARGED\tSTOCK BEFORE\tAFTER\tMAILS\tEVENTS\t")
	for _, o := range outcomes {
		mark := "ok"
		if len(o.wrong) > 0 {
			mark = "WRONG"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", o.Scenario, o.State, o.Reason,
			money.Money{Minor: o.ChargedMinor, Currency: o.currency}, o.StockBefore, o.StockAfter, o.Mails, len(o.Events), mark)
	}
	return table.Flush()
}

func verdict(outcomes []outcome) error {
	var errs []error
	for _, o := range outcomes {
		for _, wrong := range o.wrong {
			errs = append(errs, fmt.Errorf("%s (order %s): %s", o.Scenario, o.OrderID, wrong))
		}
	}
	return errors.Join(errs...)
}
