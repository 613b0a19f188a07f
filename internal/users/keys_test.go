package users_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/internal/users"
)

func TestProcessesThatStartAtOnceAgreeOnTheKeys(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b, s := setup(open), miniRedis(t)
		ada := b.register(t, "ada@example.com")
		token := b.session(t, ada.ID)
		var all sync.WaitGroup
		processes := make([]process, 8)
		for i := range processes {
			all.Go(func() { processes[i] = b.process(t, s) })
		}
		all.Wait()
		require.Equal(t, 1, b.count(t, `SELECT count(*) FROM cache_keys`))
		processes[0].requireSession(t, token)
		b.withoutSQL(t, func() {
			for _, p := range processes {
				p.requireSession(t, token)
			}
		})
		for range 8 {
			all.Go(func() { require.NoError(t, b.service.RotateKeys(t.Context())) })
		}
		all.Wait()
		require.Equal(t, 1, b.count(t, `SELECT count(*) FROM cache_keys`), "it is not a day old")
		b.clock.move(24 * time.Hour)
		for range 8 {
			all.Go(func() { require.NoError(t, b.service.RotateKeys(t.Context())) })
		}
		all.Wait()
		require.Equal(t, 2, b.count(t, `SELECT count(*) FROM cache_keys`))
		b.clock.move(24 * time.Hour)
		require.NoError(t, b.service.RotateKeys(t.Context()))
		require.Equal(t, 2, b.count(t, `SELECT count(*) FROM cache_keys WHERE number IN (2, 3)`))
		require.Equal(t, 2, b.count(t, `SELECT count(*) FROM cache_keys`))
	})
}

// A new key is read by each process before it seals, so that no entry is written that another process can't open.
func TestARotationOfTheKeysIsNotNoticed(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ctx, ada := t.Context(), b.register(t, "ada@example.com")
		one, other := b.process(t, s), b.process(t, s)
		share := func() {
			token := b.session(t, ada.ID)
			one.requireSession(t, token)
			b.withoutSQL(t, func() { other.requireSession(t, token) })
		}
		read := func(processes ...process) {
			for _, p := range processes {
				require.NoError(t, p.ReadKeys(ctx))
			}
		}
		b.clock.move(24 * time.Hour)
		read(one)
		b.clock.move(30 * time.Second)
		read(other)
		b.clock.move(20 * time.Second)
		require.NoError(t, one.RotateKeys(ctx))
		require.Equal(t, 2, b.count(t, `SELECT count(*) FROM cache_keys`))
		share()
		b.clock.move(10 * time.Second)
		read(one) // the other will not know the new key for another 30 s
		share()
		b.clock.move(110 * time.Second)
		read(other, one)
		share() // by the new key
		_, err := b.db.Exec(ctx, `DELETE FROM cache_keys WHERE number = 1`)
		require.NoError(t, err)
		b.clock.move(time.Minute)
		read(one, other)
		share()
	})
}

func TestARevocationCountsAcrossARotationOfTheKeys(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ctx, ada := t.Context(), b.register(t, "ada@example.com")
		writer, reader := b.process(t, s), b.process(t, s)
		for _, leaked := range []bool{false, true} {
			b.clock.move(24 * time.Hour)
			token, unheard := b.session(t, ada.ID), b.session(t, ada.ID)
			reader.requireSession(t, token)
			reader.requireSession(t, unheard)
			if leaked { // what operators do with keys that others may know
				_, err := b.db.Exec(ctx, `DELETE FROM cache_keys`)
				require.NoError(t, err)
			}
			require.NoError(t, writer.RotateKeys(ctx))
			b.clock.move(59 * time.Second)
			require.NoError(t, writer.ReadKeys(ctx))

			require.NoError(t, writer.Logout(ctx, token))
			reader.requireNone(t, token)
			require.NoError(t, b.service.Logout(ctx, unheard)) // its process dies before it tells Redis
			b.clock.move(time.Second)
			reader.requireNone(t, unheard)
		}
	})
}

func TestWithoutItsKeysTheCacheIsBypassed(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ctx, ada, p := t.Context(), b.register(t, "ada@example.com"), b.process(t, s)
		token, out := b.session(t, ada.ID), b.session(t, ada.ID)
		p.requireSession(t, token)
		p.requireSession(t, out)
		p.mustRead(t, ada.ID)
		_, err := b.db.Exec(ctx, `ALTER TABLE cache_keys RENAME TO away`)
		require.NoError(t, err)
		b.clock.move(time.Minute)
		require.Error(t, p.ReadKeys(ctx))
		before := b.db.Statements()
		p.requireSession(t, token)
		require.Equal(t, ada, p.mustRead(t, ada.ID))
		require.Equal(t, before+2, b.db.Statements(), "the database answers, and is not asked for the keys each time")
		require.NoError(t, p.Logout(ctx, out))
		p.requireNone(t, out)

		_, err = b.db.Exec(ctx, `ALTER TABLE away RENAME TO cache_keys`)
		require.NoError(t, err)
		b.clock.move(time.Second)
		require.NoError(t, p.ReadKeys(ctx))
		p.requireNone(t, out)
		p.requireSession(t, token)
		b.withoutSQL(t, func() { p.requireSession(t, token) })
	})
}

func TestNoTwoDatabasesHaveTheSameKeys(t *testing.T) {
	t.Parallel()
	secrets := map[string]bool{}
	for range 3 {
		b := onSQLite(t)
		require.NoError(t, users.NewCache(nil, b.service, users.CacheOptions{}).ReadKeys(t.Context()))
		var secret string
		require.NoError(t, b.db.Get(t.Context(), &secret, `SELECT secret FROM cache_keys`))
		require.Len(t, secret, 64)
		secrets[secret] = true
	}
	require.Len(t, secrets, 3)
}

func TestAKeyThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	c := users.NewCache(nil, b.service, users.CacheOptions{})
	_, err := b.db.Exec(t.Context(), `INSERT INTO cache_keys (number, secret, created_at) VALUES (1, ?, 0)`, "x123456789012345678901234567890123456789012345678901234567890123")
	require.NoError(t, err)
	err = c.ReadKeys(t.Context())
	require.Equal(t, fault.Internal, fault.KindOf(err))
	require.ErrorContains(t, err, "delete the row")
}
