package users_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/system"
	"example.com/orderly/internal/users"
)

// of is a process of a system.
func (b bundle) of(t *testing.T, s server, id system.ID) process {
	t.Helper()
	p := b.process(t, s)
	p.Close()
	p.Cache = users.NewCache(p.rdb, b.service, users.CacheOptions{Prefix: s.prefix, System: id, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(p.Close)
	return p
}

func requireOther(t *testing.T, err error, ours, theirs system.ID) {
	t.Helper()
	require.ErrorAs(t, err, new(*system.OtherError))
	for _, words := range []string{"ORDERLY_REDIS_PREFIX", "serves system " + string(theirs), "system " + string(ours), "orderly adopt"} {
		require.ErrorContains(t, err, words)
	}
}

func TestCachedEntriesAreOfOneSystem(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ours, theirs := b.of(t, s, "ours"), b.of(t, s, "theirs")
		free, err := theirs.Serves(t.Context())
		require.NoError(t, err)
		require.Empty(t, free)
		require.NoError(t, ours.Ping(t.Context()))
		require.NoError(t, ours.Ping(t.Context()))
		requireOther(t, theirs.Ping(t.Context()), "theirs", "ours")
		serves, err := theirs.Serves(t.Context())
		require.NoError(t, err)
		require.Equal(t, system.ID("ours"), serves)
	})
}

func TestOfSystemsThatClaimTheCacheAtOnceOneWins(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		processes := map[system.ID]process{}
		for _, id := range strings.Split("a b c d e f g h", " ") {
			processes[system.ID(id)] = b.of(t, s, system.ID(id))
		}
		var lock sync.Mutex
		claims, begin := map[system.ID]error{}, make(chan struct{})
		var all sync.WaitGroup
		for id, p := range processes {
			all.Go(func() {
				<-begin
				err := p.Ping(context.Background())
				lock.Lock()
				defer lock.Unlock()
				claims[id] = err
			})
		}
		close(begin)
		all.Wait()
		won, err := processes["a"].Serves(t.Context())
		require.NoError(t, err)
		for id, err := range claims {
			if id == won {
				require.NoError(t, err)
				continue
			}
			requireOther(t, err, id, won)
		}
	})
}

// Redis was away at the start, and is another system's when it is there: its entries are neither read nor written.
func TestEntriesOfAnotherSystemAreNeverServed(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		profile := b.register(t, "ada@example.com")
		theirs := b.of(t, s, "theirs")
		require.NoError(t, theirs.Ping(t.Context()))
		_, err := theirs.Profile(t.Context(), profile.ID)
		require.NoError(t, err)
		renamed := profile
		renamed.Name = "not the one in our database"
		key, payload := theirs.SealedProfile(t.Context(), renamed, b.clock.now())
		require.NoError(t, theirs.rdb.HSet(t.Context(), key, "payload", payload).Err())
		read, err := theirs.Profile(t.Context(), profile.ID)
		require.NoError(t, err)
		require.Equal(t, "not the one in our database", read.Name, "the entry is one that a cache would serve")

		ours := b.of(t, s, "ours")
		ours.door.shut()
		require.Error(t, ours.Ping(t.Context()))
		ours.door.open(t)
		for range 2 {
			read, err = ours.Profile(t.Context(), profile.ID)
			require.NoError(t, err)
			require.Equal(t, profile.Name, read.Name)
		}
		before := theirs.rdb.HGetAll(t.Context(), key).Val()
		name := "Ada II"
		_, err = ours.UpdateProfile(t.Context(), profile.ID, users.Change{Name: &name})
		require.NoError(t, err)
		require.Equal(t, before, theirs.rdb.HGetAll(t.Context(), key).Val(), "our tombstone is among their entries")
	})
}

// An evicted claim is made again within a minute, and one of another system that came first is seen.
func TestAnEvictedClaimIsMadeAgain(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		profile := b.register(t, "ada@example.com")
		ours, theirs := b.of(t, s, "ours"), b.of(t, s, "theirs")
		require.NoError(t, ours.Ping(t.Context()))
		evict := func() { require.NoError(t, ours.rdb.Del(t.Context(), s.prefix+"system").Err()) }
		evict()
		b.clock.move(2 * time.Minute)
		_, err := ours.Profile(t.Context(), profile.ID)
		require.NoError(t, err)
		requireOther(t, theirs.Ping(t.Context()), "theirs", "ours")

		evict()
		require.NoError(t, theirs.Ping(t.Context()))
		requireOther(t, ours.Ping(t.Context()), "ours", "theirs")
	})
}

func TestAdoptMakesTheCacheServeAnotherSystem(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		lost, ours := b.of(t, s, "lost"), b.of(t, s, "ours")
		require.NoError(t, lost.Ping(t.Context()))
		requireOther(t, ours.Adopt(t.Context(), "third"), "ours", "lost")
		requireOther(t, ours.Ping(t.Context()), "ours", "lost")
		require.NoError(t, ours.Adopt(t.Context(), "lost"))
		require.NoError(t, ours.Ping(t.Context()))
		requireOther(t, lost.Ping(t.Context()), "lost", "ours")
	})
}
