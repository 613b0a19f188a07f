package users

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
)

func TestAFloodOfPasswordsIsTurnedAwayAfterABoundedWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPasswords()
		for range hashesAtOnce {
			p.slots <- struct{}{}
		}
		began := time.Now()
		_, err := p.hash(t.Context(), "correct horse battery")
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		require.Equal(t, "busy", fault.CodeOf(err))
		require.Equal(t, hashPatience, time.Since(began))
		busy, _ := fault.As(err)
		require.Positive(t, busy.RetryAfter)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err = p.verify(ctx, "", "correct horse battery")
		require.ErrorIs(t, err, context.Canceled)

		<-p.slots
		_, err = p.hash(t.Context(), "correct horse battery")
		require.NoError(t, err)
	})
}

// What takes time is the hash, and it needs a slot: with all of them taken, a login that would hash has to wait.
func TestAnUnknownAddressCostsAHashLikeAWrongPassword(t *testing.T) {
	t.Parallel()
	db := testenv.SQLite(t, "users", Migrations()...)
	s := New(outbox.New(db, "users", time.Now), time.Now)
	_, err := s.Register(t.Context(), Registration{Email: "ada@example.com", Name: "Ada", Password: "correct horse battery"})
	require.NoError(t, err)
	_, err = s.EnsureCustomer(t.Context(), "demo@example.com", "Demo")
	require.NoError(t, err)
	for range hashesAtOnce {
		s.passwords.slots <- struct{}{}
	}
	for _, email := range []string{"ada@example.com", "demo@example.com", "unknown@example.com", "no address"} {
		_, _, err := s.Login(t.Context(), email, "wrong horse battery")
		require.Equal(t, "busy", fault.CodeOf(err), email)
	}
}

func TestAStoredHashThatCannotBeReadIsADefectAndQuotesNothing(t *testing.T) {
	t.Parallel()
	p := newPasswords()
	good, err := p.hash(t.Context(), "correct horse battery")
	require.NoError(t, err)
	for _, bad := range []string{
		"$argon2id$", good[:len(good)-1], good + "A", "$argon2i" + good[len("$argon2id"):], "x" + good,
	} {
		_, _, err := p.verify(t.Context(), bad, "correct horse battery")
		require.Error(t, err, bad)
		require.Equal(t, fault.Internal, fault.KindOf(err))
		require.NotContains(t, err.Error(), bad)
	}
}

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
