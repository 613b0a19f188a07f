package workers_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/workers"
)

func TestHousekeepingForgetsKeysAndSessionsAndReplacesTheCachesKey(t *testing.T) {
	t.Parallel()
	var kept time.Duration
	var sessions, rotations int
	h := workers.Housekeeping{
		Keys: func(_ context.Context, age time.Duration, _ int) (int64, error) {
			kept = age
			return 0, nil
		},
		Sessions: []func(context.Context) (int64, error){func(context.Context) (int64, error) {
			sessions++
			return 3, nil
		}},
		CacheKeys: func(context.Context) error {
			rotations++
			return nil
		},
		Log: slog.New(slog.DiscardHandler),
	}
	require.NoError(t, h.Tidy(t.Context()))
	require.Equal(t, workers.OrderKeys, kept)
	require.Equal(t, 1, sessions)
	require.Equal(t, 1, rotations)
}

func TestTheContractSaysHowLongKeysAreKept(t *testing.T) {
	t.Parallel()
	contract, err := os.ReadFile("../api/openapi.yaml")
	require.NoError(t, err)
	words := strings.Join(strings.Fields(string(contract)), " ")
	require.Contains(t, words, fmt.Sprintf("A key is remembered for %d days", workers.OrderKeys/(24*time.Hour)))
}
