package embedded_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/embedded"
)

func TestRedis(t *testing.T) {
	t.Parallel()
	server, err := embedded.StartRedis()
	require.NoError(t, err)
	addr := server.Addr()
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	ctx := context.Background()

	require.NoError(t, client.Set(ctx, "stays", "here", 0).Err())
	require.NoError(t, client.Set(ctx, "goes", "soon", 50*time.Millisecond).Err())
	require.Eventually(t, func() bool {
		return errors.Is(client.Get(ctx, "goes").Err(), redis.Nil)
	}, 10*time.Second, 10*time.Millisecond, "a key must expire by the clock")
	require.Equal(t, "here", client.Get(ctx, "stays").Val())

	server.Stop()
	server.Stop()
	require.Error(t, client.Get(ctx, "stays").Err())
	require.Equal(t, addr, server.Addr())
}
