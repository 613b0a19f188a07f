package users_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/internal/users"
)

// A session lasts as long at a process whose clock is wrong as at any other, read from the database or from Redis, and is not pruned before.
func TestASessionLastsAsLongByEveryClock(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)("users", users.Migrations()...)
	fast, slow := testenv.Apart(t, db)
	rdb := redis.NewClient(&redis.Options{Addr: miniRedis(t).addr})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	open := func(db *database.DB, rdb *redis.Client) *users.Cache {
		cache := users.NewCache(rdb, users.New(outbox.New(db, "users", nil), nil), users.CacheOptions{})
		t.Cleanup(cache.Close)
		return cache
	}
	ctx := t.Context()
	someone, err := open(fast, nil).Register(ctx, users.Registration{Email: "ada@example.com", Name: "Ada", Password: password})
	require.NoError(t, err)
	for name, on := range map[string][2]*database.DB{"issued by the slow one": {slow, fast}, "issued by the fast one": {fast, slow}} {
		t.Run(name, func(t *testing.T) {
			issuing, reading := open(on[0], nil), open(on[1], nil)
			token, session, err := issuing.IssueSession(ctx, someone.ID)
			require.NoError(t, err)
			require.WithinDuration(t, testenv.ServerTime(t, db).Add(8*time.Hour), session.ExpiresAt, 5*time.Second)

			end := func(in string) {
				_, err := db.Exec(ctx, `
					UPDATE sessions SET created_at = clock_timestamp() - INTERVAL '8 hours', expires_at = clock_timestamp() + CAST(? AS INTERVAL)`, in)
				require.NoError(t, err)
			}
			end("30 minutes") // less than any of the clocks is off
			_, err = reading.Authenticate(ctx, token)
			require.NoError(t, err, "a session ends early")
			cached := open(on[1], rdb)
			for range 2 {
				_, err = cached.Authenticate(ctx, token)
				require.NoError(t, err, "a cached session ends early")
			}
			pruned, err := reading.PruneSessions(ctx)
			require.NoError(t, err)
			require.Zero(t, pruned, "a session was pruned early")

			end("-30 minutes")
			_, err = reading.Authenticate(ctx, token)
			require.Error(t, err, "a session lasts longer")
			pruned, err = reading.PruneSessions(ctx)
			require.NoError(t, err)
			require.EqualValues(t, 1, pruned)
		})
	}
}

// Pruning is often the first that a process asks of the database.
func TestTheFirstPruningIsByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)("users", users.Migrations()...)
	ctx, service := t.Context(), users.New(outbox.New(db, "users", nil), nil)
	someone, err := service.Register(ctx, users.Registration{Email: "ada@example.com", Name: "Ada", Password: password})
	require.NoError(t, err)
	token, _, err := service.IssueSession(ctx, someone.ID)
	require.NoError(t, err)
	fast, _ := testenv.Apart(t, db)
	fast.SetOwnClock(func() time.Time { return time.Now().Add(24 * time.Hour) })
	pruned, err := users.New(outbox.New(fast, "users", nil), nil).PruneSessions(ctx)
	require.NoError(t, err)
	require.Zero(t, pruned)
	_, err = service.Authenticate(ctx, token)
	require.NoError(t, err)
}
