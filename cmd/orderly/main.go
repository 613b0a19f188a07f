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
)

// gcPercent is how much is allocated between two collections, in percent of the live heap. The live heap is small here, so with Go's
// default of 100 a busy process would collect dozens of times a second. GOGC overrides it.
const gcPercent = 300

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
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
		eventsCommand(), temporalCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		_, _ = fmt.Fprintln(stderr, "orderly:", strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
	return 0
}
