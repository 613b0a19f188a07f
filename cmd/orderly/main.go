// Command orderly processes orders: one binary for the whole system, each of its parts, and the tools around it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"example.com/orderly/internal/embedded"
)

// gcPercent is how much is allocated between two collections, in percent of the live heap. The live heap is small here, so with Go's
// default of 100 a busy process would collect dozens of times a second. GOGC overrides it.
const gcPercent = 300

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(untilSignal(), os.Args[1:], os.Stdout, os.Stderr))
}

// untilSignal returns a context that ends with the first SIGINT or SIGTERM. A second one ends the process at once, and its children before
// it: timeout(1) sends two, so that nothing has time to end what the process has started.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	received := make(chan os.Signal, 2)
	signal.Notify(received, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-received
		cancel()
		second := <-received
		embedded.KillChildren()
		signal.Reset(second)
		_ = syscall.Kill(os.Getpid(), second.(syscall.Signal))
	}()
	return ctx
}

// run is the program: 0 when all went well, else 1 after one line on stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "orderly",
		Short:         "Process orders: a saga per order, events for every listener",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(devCommand(), demoCommand(), migrateCommand(), serveCommand(), healthcheckCommand(), sandboxCommand(),
		eventsCommand(), temporalCommand(), adoptCommand(), operatorsCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		_, _ = fmt.Fprintln(stderr, "orderly:", strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
	return 0
}
