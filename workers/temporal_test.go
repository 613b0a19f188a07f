package workers_test

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"example.com/orderly/activities"
	"example.com/orderly/workers"
)

// A worker that lacks an activity would take its tasks away from those that have it, and fail each.
func TestAWorkerThatLacksAnActivityIsRefused(t *testing.T) {
	t.Parallel()
	away, err := client.NewLazyClient(client.Options{})
	require.NoError(t, err)
	t.Cleanup(away.Close)
	_, err = workers.NewWorker(away, activities.InventoryQueue, workers.NewStepMetrics(prometheus.NewRegistry()),
		slog.New(slog.DiscardHandler), nil, func(worker.Registry) {})
	require.ErrorContains(t, err, "task queue "+activities.InventoryQueue+" lacks the activity ")
}
