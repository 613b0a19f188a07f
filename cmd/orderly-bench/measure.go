package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/node"
)

// bench is one run of the program, on a system that works.
type bench struct {
	settings
	sys     *system
	node    node.Inside
	clients []*demo.Client // customers; the first one places the orders
	rest    rest
	placed  atomic.Int64 // how many orders, workflows and subjects there are: each has a number
}

// measure measures a system of its own, of which nothing is left.
func measure(ctx context.Context, s settings, lines, progress io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "orderly-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	warned := &warnings{Handler: slog.NewTextHandler(progress, &slog.HandlerOptions{Level: slog.LevelError})}
	sys, err := newSystem(ctx, dir, slog.New(warned), func(line string) { _, _ = fmt.Fprintln(progress, line) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.remove(context.WithoutCancel(ctx))) }()
	return sys.while(ctx, func(ctx context.Context, n *node.Node) error {
		b := &bench{settings: s, sys: sys}
		if err := b.open(ctx, n); err != nil {
			return err
		}
		if err := b.describe(ctx, lines); err != nil {
			return err
		}
		err := b.all(ctx, lines, progress)
		if count := warned.count.Load(); count > 0 {
			_, _ = fmt.Fprintf(progress, "The system warned %d times, the first time of %q: it was overloaded, and the figures contain the waiting for "+
				"another try. Have fewer clients (-in-flight, -concurrency), or see what else runs on this machine.\n", count, *warned.first.Load())
		}
		return err
	})
}

// open registers as many customers as there are clients, so that readers do not share one look-up.
func (b *bench) open(ctx context.Context, n *node.Node) (err error) {
	if b.node, err = n.Inside(ctx); err != nil {
		return err
	}
	b.rest.node = b.node
	clients := max(b.concurrency, b.inFlight)
	transport := &http.Transport{MaxIdleConns: clients, MaxIdleConnsPerHost: clients, IdleConnTimeout: time.Minute}
	for range b.concurrency {
		c := demo.NewClient("http://"+n.APIAddr, "http://"+n.SandboxAddr)
		c.HTTP.Transport = transport
		if err := c.Register(ctx, fmt.Sprintf("bench-%s@example.com", uuid.NewString()), "Bench Customer", uuid.NewString()); err != nil {
			return err
		}
		b.clients = append(b.clients, c)
	}
	if err := b.rest.await(ctx, len(b.clients), len(b.clients)); err != nil {
		return fmt.Errorf("greet the customers: %w", err)
	}
	return nil
}

func (b *bench) all(ctx context.Context, lines, progress io.Writer) error {
	if slices.Contains(b.only, "orders") {
		empty, stop, err := b.openEmpty()
		if err != nil {
			return err
		}
		defer stop()
		if err := inTurns(ctx, b.rounds, slices.Concat(b.emptyWorkflows(empty), b.orderBenchmarks()), lines, progress); err != nil {
			return err
		}
	}
	if slices.Contains(b.only, "events") {
		benchmarks, closeBroker, err := b.eventBenchmarks()
		if err == nil {
			err = errors.Join(inTurns(ctx, b.rounds, benchmarks, lines, progress), closeBroker())
		}
		if err != nil {
			return err
		}
	}
	if slices.Contains(b.only, "reads") {
		benchmarks, closeHandler, err := b.readBenchmarks(ctx)
		if err == nil {
			err = errors.Join(inTurns(ctx, b.rounds, benchmarks, lines, progress), closeHandler())
		}
		return err
	}
	return nil
}

// warnings is the log of the system: it prints errors and counts warnings, of which a healthy run has none.
type warnings struct {
	slog.Handler // of errors
	count        atomic.Int64
	first        atomic.Pointer[string]
}

// Enabled implements slog.Handler.
func (w *warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements slog.Handler.
func (w *warnings) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelError {
		return w.Handler.Handle(ctx, record)
	}
	w.count.Add(1)
	w.first.CompareAndSwap(nil, &record.Message)
	return nil
}

// WithAttrs implements slog.Handler.
func (w *warnings) WithAttrs([]slog.Attr) slog.Handler { return w }

// WithGroup implements slog.Handler.
func (w *warnings) WithGroup(string) slog.Handler { return w }
