package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
)

// warnings is the log of a bench: it prints errors, and counts warnings, of which a healthy run has none.
type warnings struct {
	slog.Handler // of errors
	count        *warningCount
}

type warningCount struct {
	lock      sync.Mutex
	byMessage map[string]int
}

func newWarnings(to io.Writer) warnings {
	return warnings{
		Handler: slog.NewTextHandler(to, &slog.HandlerOptions{Level: slog.LevelError}),
		count:   &warningCount{byMessage: map[string]int{}},
	}
}

// Enabled implements slog.Handler.
func (w warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements slog.Handler.
func (w warnings) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelError {
		return w.Handler.Handle(ctx, record)
	}
	w.count.lock.Lock()
	defer w.count.lock.Unlock()
	w.count.byMessage[record.Message]++
	return nil
}

// WithAttrs implements slog.Handler.
func (w warnings) WithAttrs(attributes []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attributes), w.count}
}

// WithGroup implements slog.Handler.
func (w warnings) WithGroup(name string) slog.Handler {
	return warnings{w.Handler.WithGroup(name), w.count}
}

// take is what was warned of since it was last asked; empty when nothing was.
func (w warnings) take() string {
	w.count.lock.Lock()
	defer w.count.lock.Unlock()
	var parts []string
	for _, message := range slices.Sorted(maps.Keys(w.count.byMessage)) {
		parts = append(parts, fmt.Sprintf("%d x %q", w.count.byMessage[message], message))
	}
	clear(w.count.byMessage)
	return strings.Join(parts, ", ")
}
