package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"example.com/orderly/events/listen"
	"example.com/orderly/internal/backoff"
	"example.com/orderly/internal/outbox"
)

// How long finished rows are kept.
const (
	// PublishedEvents is how long published events stay in the outbox, for operators to look at.
	PublishedEvents = 3 * 24 * time.Hour
	// HandledEvents is how long handled events stay in an inbox. It must outlast any redelivery, because an event that was deleted and
	// comes again is applied again.
	HandledEvents = 30 * 24 * time.Hour
	// OrderKeys is how long an idempotency key is kept, and so how long a client may repeat its request.
	OrderKeys = 30 * 24 * time.Hour

	pruneEvery = 10 * time.Minute
	pruneBatch = 1000
)

// Housekeeping deletes what is finished and older than its window, in small transactions. How old a row is, is told by the clock of its database.
type Housekeeping struct {
	Boxes   []*outbox.Outbox
	Inboxes []*listen.Inbox
	// Keys forgets idempotency keys; nil where there are none.
	Keys func(ctx context.Context, age time.Duration, limit int) (int64, error)
	// Sessions each remove sessions that have expired and return how many.
	Sessions []func(ctx context.Context) (int64, error)
	// CacheKeys replaces the key of the cache where it is due; nil where there is none.
	CacheKeys func(ctx context.Context) error
	Log       *slog.Logger
}

// Run tidies now and every ten minutes until ctx ends. It returns nil: what fails is logged and tried again.
func (h *Housekeeping) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := h.Tidy(ctx); err != nil && ctx.Err() == nil {
			h.Log.Warn("housekeeping failed and will try again", "error", err)
		}
		backoff.Wait(ctx, pruneEvery, nil)
	}
	return nil
}

// Tidy prunes everything once. When one database fails it goes on with the others, and returns the errors joined.
func (h *Housekeeping) Tidy(ctx context.Context) error {
	var failed error
	for _, box := range h.Boxes {
		failed = errors.Join(failed, untilDone(ctx, box.Prune, PublishedEvents))
	}
	for _, inbox := range h.Inboxes {
		failed = errors.Join(failed, untilDone(ctx, pruning(inbox), HandledEvents))
	}
	if h.Keys != nil {
		failed = errors.Join(failed, untilDone(ctx, h.Keys, OrderKeys))
	}
	for _, prune := range h.Sessions {
		_, err := prune(ctx)
		failed = errors.Join(failed, err)
	}
	if h.CacheKeys != nil {
		failed = errors.Join(failed, h.CacheKeys(ctx))
	}
	return failed
}

// pruning is the inbox's Prune, by age.
func pruning(inbox *listen.Inbox) func(ctx context.Context, age time.Duration, limit int) (int64, error) {
	return func(ctx context.Context, age time.Duration, limit int) (int64, error) {
		now, err := inbox.Now(ctx)
		if err != nil {
			return 0, err
		}
		return inbox.Prune(ctx, now.Add(-age), limit)
	}
}

func untilDone(ctx context.Context, prune func(context.Context, time.Duration, int) (int64, error), age time.Duration) error {
	for {
		deleted, err := prune(ctx, age, pruneBatch)
		if err != nil {
			return fmt.Errorf("prune what is older than %s: %w", age, err)
		}
		if deleted < pruneBatch {
			return nil
		}
	}
}
