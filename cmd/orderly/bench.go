package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/measure"
	"example.com/orderly/internal/yardstick"
)

// benchParts are what can be measured, in the order it is.
var benchParts = []string{"orders", "events", "reads"}

// benchPatience is how long a bench waits for something to go on before it takes it for stuck.
const benchPatience = time.Minute

func benchCommand() *cobra.Command {
	var b bench
	var api, provider string
	command := &cobra.Command{
		Use:   "bench",
		Short: "Measure whole orders beside an empty workflow, events beside a bare queue, reads beside a bare handler",
		Long: "Measure orders, events and reads beside the libraries alone, in turns, on one machine, in one run.\n\n" +
			"Without --url it starts a stack of its own in this process. DATABASE_URL, RABBITMQ_URL, REDIS_URL and TEMPORAL_ADDRESS replace\n" +
			"its parts, under names of its own that are gone afterwards, but for what Redis has cached, which expires within 67 minutes;\n" +
			"payments go to the sandbox and mails into a folder, always. Sagas run in a Temporal namespace of its own unless\n" +
			"TEMPORAL_NAMESPACE names one that nobody else uses.\n\n" +
			"With --url it measures a running stack from outside: place a load on one only where that hurts nobody. The empty workflow then\n" +
			"runs on the server of TEMPORAL_ADDRESS, which should be the one of that stack.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := b.check(); err != nil {
				return err
			}
			b.out, b.progress = cmd.OutOrStdout(), cmd.OutOrStdout()
			if b.asJSON {
				b.progress = cmd.ErrOrStderr()
			}
			b.warned = newWarnings(b.progress)
			b.log = slog.New(b.warned)
			if api != "" {
				return b.runOutside(cmd.Context(), api, provider)
			}
			return b.runPrivate(cmd.Context())
		},
	}
	flags := command.Flags()
	flags.StringVar(&api, "url", "", "the API of a running stack, such as http://127.0.0.1:8080 (default: start a private one)")
	flags.StringVar(&provider, "sandbox-url", "http://127.0.0.1:8090", "the sandbox payment provider of that stack")
	flags.IntVar(&b.rounds, "rounds", 5, "how many rounds")
	flags.IntVar(&b.orders, "orders", 240, "orders, and empty workflows, per round for the rate; half as many for each latency")
	flags.IntVar(&b.inFlight, "in-flight", 32, "clients that place orders at once, for the rate")
	flags.IntVar(&b.concurrency, "concurrency", 8, "clients at once, for the latencies and for reads")
	flags.IntVar(&b.events, "events", 2000, "events per round")
	flags.IntVar(&b.reads, "reads", 4000, "reads per round")
	flags.StringSliceVar(&b.only, "only", benchParts, "measure only these parts")
	flags.BoolVar(&b.asJSON, "json", false, "print one JSON object in place of the tables")
	flags.StringVar(&b.plot, "plot", "orderly-bench.svg", "draw the figures into this file; empty draws nothing")
	return command
}

// bench is one run of the command.
type bench struct {
	out, progress                                        io.Writer
	rounds, orders, inFlight, concurrency, events, reads int
	only                                                 []string
	asJSON                                               bool
	plot                                                 string

	name     string // of everything this run makes, unique
	target   target
	temporal client.Client // nil where no server is known
	empty    *yardstick.Empty
	shops    []*demo.Client // customers; the first one places the orders
	skus     []string
	placed   atomic.Int64 // how many orders, workflows and subjects there are: each has a number
	log      *slog.Logger
	warned   warnings
	report   measure.Report
}

func (b *bench) check() error {
	for flag, value := range map[string]int{
		"rounds": b.rounds, "orders": b.orders, "in-flight": b.inFlight, "concurrency": b.concurrency, "events": b.events, "reads": b.reads,
	} {
		if value < 1 {
			return fmt.Errorf("--%s must be at least 1", flag)
		}
	}
	for _, part := range b.only {
		if !slices.Contains(benchParts, part) {
			return fmt.Errorf("--only: there is no part %q: there are %s", part, strings.Join(benchParts, ", "))
		}
	}
	if b.plot == "" {
		return nil
	}
	// Known before, not after minutes.
	file, err := os.OpenFile(b.plot, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("--plot: the file can't be written: %w", err)
	}
	return file.Close()
}

func (b *bench) measures(part string) bool { return slices.Contains(b.only, part) }

func (b *bench) say(line string) { _, _ = fmt.Fprintln(b.progress, line) }

// fact notes something about where the run takes place.
func (b *bench) fact(name, value string) {
	b.report.Environment = append(b.report.Environment, measure.Fact{Name: name, Value: value})
}

func (b *bench) note(format string, args ...any) {
	b.report.Notes = append(b.report.Notes, fmt.Sprintf(format, args...))
}

// alternate has the contestants take turns, each round with n of whatever they do, after a turn each that does not count.
func (b *bench) alternate(
	ctx context.Context, part string, n int, contestants func(n int) []measure.Contestant, kinds []measure.Kind,
) (measure.Results, error) {
	b.say("\n" + part + ": warming up")
	warm := contestants(max(1, n/10))
	if _, err := measure.Alternate(ctx, 1, warm, func(int, string, measure.Figures) {}); err != nil {
		return nil, fmt.Errorf("%s, warming up: %w", part, err)
	}
	b.warned.take()
	results, err := measure.Alternate(ctx, b.rounds, contestants(n), func(round int, contestant string, figures measure.Figures) {
		b.say(fmt.Sprintf("%s, round %d of %d, %s: %.1f per second", part, round, b.rounds, contestant, figures[perSecond]))
	})
	if err != nil {
		return nil, fmt.Errorf("%s, %w", part, err)
	}
	b.report.Add(part, results, warm, kinds)
	if told := b.warned.take(); told != "" {
		b.note("%s: the stack warned of %s. It was overloaded, and the figures contain the waiting for another try: see what else runs on this "+
			"machine, or have fewer clients (--in-flight, --concurrency)", part, told)
	}
	return results, nil
}

// finish prints the report and draws it.
func (b *bench) finish() error {
	write := b.report.Table
	if b.asJSON {
		write = func(to io.Writer) error { return json.NewEncoder(to).Encode(b.report) }
	}
	if err := write(b.out); err != nil || b.plot == "" {
		return err
	}
	var drawn bytes.Buffer
	err := b.report.Plot(&drawn, fmt.Sprintf("orderly bench, medians of %d rounds", b.rounds), isOurs)
	if err == nil {
		err = os.WriteFile(b.plot, drawn.Bytes(), 0o600)
	}
	if err != nil {
		return fmt.Errorf("--plot: draw the figures: %w", err)
	}
	b.say("\nDrawn into " + b.plot)
	return nil
}
