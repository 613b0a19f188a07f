// Command orderly-bench measures orders, events and reads beside the libraries that Orderly stands on, in turns, on one machine, in one
// run. It prints a line per benchmark and round, in the form that benchstat reads.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
)

const usage = `Usage: orderly-bench [flags] > new.txt; benchstat old.txt new.txt

Measures orders beside an empty workflow, events beside a bare queue, and cached reads beside a bare handler, in turns. It runs a whole
system in this process. DATABASE_URL, RABBITMQ_URL, REDIS_URL and TEMPORAL_ADDRESS replace parts of it, under names of its own that are
removed afterwards; what Redis has cached expires within 67 minutes. Payments go to the sandbox and mails into a folder, always. Sagas
run in a Temporal namespace of its own unless TEMPORAL_NAMESPACE names one that no other process uses.

`

// parts are what can be measured, in the order it is.
var parts = []string{"orders", "events", "reads"}

// settings are the flags.
type settings struct {
	rounds, orders, inFlight, concurrency, events, reads int
	only                                                 []string
}

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300) // as the product's binary does
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: 0 when all went well, else 1 after one line on stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if err == nil {
		err = measure(ctx, s, stdout, stderr)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "orderly-bench:", strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (s settings, err error) {
	flags := flag.NewFlagSet("orderly-bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	var only string
	flags.IntVar(&s.rounds, "rounds", 5, "how many rounds")
	flags.IntVar(&s.orders, "orders", 240, "orders, and empty workflows, per round for the rate; half as many for each latency")
	flags.IntVar(&s.inFlight, "in-flight", 32, "clients that place orders at once, for the rate")
	flags.IntVar(&s.concurrency, "concurrency", 8, "clients at once, for the latencies and for reads")
	flags.IntVar(&s.events, "events", 2000, "events per round")
	flags.IntVar(&s.reads, "reads", 4000, "reads per round")
	flags.StringVar(&only, "only", strings.Join(parts, ","), "measure only these parts")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	s.only = strings.Split(only, ",")
	for _, part := range s.only {
		if !slices.Contains(parts, part) {
			return s, fmt.Errorf("-only: there is no part %q: there are %s", part, strings.Join(parts, ", "))
		}
	}
	for name, value := range map[string]int{
		"rounds": s.rounds, "orders": s.orders, "in-flight": s.inFlight, "concurrency": s.concurrency, "events": s.events, "reads": s.reads,
	} {
		if value < 1 {
			return s, fmt.Errorf("-%s must be at least 1", name)
		}
	}
	return s, nil
}
