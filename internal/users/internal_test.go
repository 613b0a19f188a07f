package users

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestTheBreakerLeavesADeadServerAloneAndTriesAgain(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := &breaker{now: func() time.Time { return now }}
	dead := errors.New("connection refused")

	for range breakerFailures - 1 {
		require.NoError(t, b.allow())
		b.report(dead)
	}
	b.report(redis.Nil) // a missing key is an answer: the count starts again
	for range breakerFailures {
		require.NoError(t, b.allow())
		b.report(redis.ErrPoolTimeout) // ours, not the server's
		b.report(dead)
	}
	require.ErrorIs(t, b.allow(), errBreakerOpen)

	now = now.Add(breakerPause)
	require.NoError(t, b.allow(), "one try per pause")
	require.ErrorIs(t, b.allow(), errBreakerOpen)
	b.report(dead)
	require.ErrorIs(t, b.allow(), errBreakerOpen)

	now = now.Add(breakerPause)
	require.NoError(t, b.allow())
	b.report(nil)
	for range 3 {
		require.NoError(t, b.allow())
	}
}
