package backoff_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/backoff"
)

func TestAfterDoublesUpToTheLongest(t *testing.T) {
	t.Parallel()
	for failures, most := range map[int]time.Duration{
		0: time.Second, 1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 6: 30 * time.Second, 1000: 30 * time.Second,
	} {
		for range 100 {
			pause := backoff.After(failures, time.Second, 30*time.Second)
			require.GreaterOrEqual(t, pause, most/2)
			require.Less(t, pause, most)
		}
	}
}

func TestWaitEndsByTimeByAWakeAndWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		require.True(t, backoff.Wait(t.Context(), time.Second, nil))
		require.Equal(t, time.Second, time.Since(began))

		woken := make(chan struct{}, 1)
		woken <- struct{}{}
		require.True(t, backoff.Wait(t.Context(), time.Hour, woken))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		require.False(t, backoff.Wait(ctx, time.Hour, nil))
		require.Equal(t, 2*time.Second, time.Since(began))
	})
}
