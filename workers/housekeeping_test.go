package workers_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/workers"
)

func TestHousekeepingForgetsKeysAndSessions(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var before time.Time
	var sessions int
	h := workers.Housekeeping{
		Keys: func(_ context.Context, until time.Time, _ int) (int64, error) {
			before = until
			return 0, nil
		},
		Sessions: func(context.Context) (int64, error) {
			sessions++
			return 3, nil
		},
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}
	require.NoError(t, h.Tidy(t.Context()))
	require.Equal(t, now.Add(-workers.OrderKeys), before)
	require.Equal(t, 1, sessions)
}
