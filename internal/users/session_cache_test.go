package users_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/users"
)

func (p process) requireSession(t *testing.T, token string) {
	t.Helper()
	_, err := p.Authenticate(t.Context(), token)
	require.NoError(t, err)
}

func (p process) requireNone(t *testing.T, token string) {
	t.Helper()
	_, err := p.Authenticate(t.Context(), token)
	requireFault(t, err, fault.Unauthenticated, "no_session")
}

func (b bundle) session(t *testing.T, userID string) string {
	t.Helper()
	token, _, err := b.service.IssueSession(t.Context(), userID)
	require.NoError(t, err)
	return token
}

func TestTheSecondUseOfASessionMakesNoSQL(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ada := b.register(t, "ada@example.com")
		one, other := b.process(t, s), b.process(t, s)
		token, session, err := one.IssueSession(t.Context(), ada.ID)
		require.NoError(t, err)
		one.requireSession(t, token)
		b.withoutSQL(t, func() {
			for _, p := range []process{one, other} {
				found, err := p.Authenticate(t.Context(), token)
				require.NoError(t, err)
				require.Equal(t, session, found)
			}
		})

		b.clock.move(time.Minute)
		before := b.db.Statements()
		one.requireSession(t, token)
		require.Equal(t, before+2, b.db.Statements(), "an entry is believed for a minute, and so are the keys")
	})
}

func TestARevokedSessionIsRefusedEverywhereAtOnce(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ctx := t.Context()
		one, other := b.process(t, s), b.process(t, s)
		for email, revoke := range map[string]func(id, token string) error{
			"out@example.com":  func(_, token string) error { return one.Logout(ctx, token) },
			"all@example.com":  func(id, _ string) error { return one.RevokeAll(ctx, id) },
			"gone@example.com": func(id, _ string) error { return one.Delete(ctx, id) },
		} {
			user := b.register(t, email)
			token := b.session(t, user.ID)
			one.requireSession(t, token)
			other.requireSession(t, token)
			require.NoError(t, revoke(user.ID, token))
			b.withoutSQL(t, func() {
				one.requireNone(t, token)
				other.requireNone(t, token)
			})
		}
	})
}

func TestASlowReaderCannotBringBackARevokedSession(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ctx, ada := t.Context(), b.register(t, "ada@example.com")
		token := b.session(t, ada.ID)
		slow, quick := b.process(t, s), b.process(t, s)
		write := holdBack(slow.rdb, writes(""))
		read := make(chan error, 1)
		go func() {
			_, err := slow.Authenticate(ctx, token)
			read <- err
		}()
		<-write.reached // it has seen the session and is about to cache it
		require.NoError(t, quick.Logout(ctx, token))
		write.release()
		requireFault(t, <-read, fault.Unauthenticated, "no_session")
		quick.requireNone(t, token)
		slow.requireNone(t, token)
	})
}

func TestARevocationThatRedisNeverHearsOfIsCompleteWithinAMinute(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		for name, pass := range map[string]func(b bundle){
			"by our clock": func(b bundle) { b.clock.move(time.Minute) },
			"by the clock of Redis": func(bundle) {
				if s.mini != nil {
					s.mini.FastForward(time.Minute)
				}
			},
		} {
			if s.mini == nil && name == "by the clock of Redis" {
				continue // a real server's clock can't be moved
			}
			b := onSQLite(t)
			ada := b.register(t, "ada@example.com")
			token := b.session(t, ada.ID)
			writer, reader := b.process(t, s), b.process(t, s)
			reader.requireSession(t, token)
			writer.door.shut()
			require.NoError(t, writer.Logout(t.Context(), token))
			writer.requireNone(t, token)
			reader.requireSession(t, token) // the promise is a minute
			pass(b)
			reader.requireNone(t, token)
			writer.requireNone(t, token)
		}
	})
}

// A reader that is slow to cache what it saw does not prolong it: the minute counts from before the database was asked.
func TestASlowReaderDoesNotProlongTheMinute(t *testing.T) {
	t.Parallel()
	b, s := onSQLite(t), miniRedis(t)
	ctx, ada := t.Context(), b.register(t, "ada@example.com")
	token := b.session(t, ada.ID)
	slow := b.process(t, s)
	write := holdBack(slow.rdb, writes(""))
	read := make(chan error, 1)
	go func() {
		_, err := slow.Authenticate(ctx, token)
		read <- err
	}()
	<-write.reached
	require.NoError(t, b.service.Logout(ctx, token)) // its process dies before it tells Redis
	b.clock.move(50 * time.Second)
	write.release()
	require.NoError(t, <-read, "it was asked before the revocation")
	b.clock.move(10 * time.Second)
	slow.requireNone(t, token)
}

func TestALostRevocationIsMadeUpFor(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ada := b.register(t, "ada@example.com")
		token := b.session(t, ada.ID)
		writer, reader := b.process(t, s), b.process(t, s)
		reader.requireSession(t, token)
		writer.door.shut()
		require.NoError(t, writer.Logout(t.Context(), token))
		writer.door.open(t)
		writer.requireNone(t, token)
		require.Eventually(t, func() bool {
			_, err := reader.Authenticate(t.Context(), token)
			return fault.CodeOf(err) == "no_session"
		}, 30*time.Second, 20*time.Millisecond, "no clock was moved: only a retry can have done it")
	})
}

func TestAnEmptiedRedisGrantsNothingAndLogsNobodyOut(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ada, p := b.register(t, "ada@example.com"), b.process(t, s)
		stays, gone := b.session(t, ada.ID), b.session(t, ada.ID)
		p.requireSession(t, stays)
		p.requireSession(t, gone)
		require.NoError(t, p.Logout(t.Context(), gone))
		s.empty(t)
		p.requireSession(t, stays)
		p.requireNone(t, gone)
		require.Equal(t, ada, p.mustRead(t, ada.ID))
	})
}

func TestACachedSessionEndsOnTime(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ada, p := b.register(t, "ada@example.com"), b.process(t, s)
		token := b.session(t, ada.ID)
		b.clock.move(8*time.Hour - 10*time.Second)
		p.requireSession(t, token)
		b.withoutSQL(t, func() { p.requireSession(t, token) })
		b.clock.move(10 * time.Second)
		b.withoutSQL(t, func() { p.requireNone(t, token) })
	})
}

func TestWithoutRedisEverythingGoesToTheDatabase(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	c := users.NewCache(nil, b.service, users.CacheOptions{})
	t.Cleanup(c.Close)
	ctx := t.Context()
	ada, err := c.Register(ctx, users.Registration{Email: "ada@example.com", Name: "Ada", Password: password})
	require.NoError(t, err)
	token, _, err := c.Login(ctx, "ada@example.com", password, "")
	require.NoError(t, err)
	_, err = c.Authenticate(ctx, token)
	require.NoError(t, err)
	found, err := c.Profile(ctx, ada.ID)
	require.NoError(t, err)
	require.Equal(t, ada, found)
	require.NoError(t, c.Delete(ctx, ada.ID))
	_, err = c.Authenticate(ctx, token)
	requireFault(t, err, fault.Unauthenticated, "no_session")
	_, err = c.Profile(ctx, ada.ID)
	requireFault(t, err, fault.NotFound, "user_not_found")
}
