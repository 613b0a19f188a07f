package users

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
)

// What takes time is the hash.
func TestAnUnknownAddressCostsAHashLikeAWrongPassword(t *testing.T) {
	t.Parallel()
	db := testenv.SQLite(t, "users", Migrations()...)
	s := New(outbox.New(db, "users", time.Now), time.Now)
	_, err := s.Register(t.Context(), Registration{Email: "ada@example.com", Name: "Ada", Password: "correct horse battery"})
	require.NoError(t, err)
	_, err = s.EnsureCustomer(t.Context(), "demo@example.com", "Demo")
	require.NoError(t, err)
	for _, email := range []string{"ada@example.com", "demo@example.com", "unknown@example.com", "no address"} {
		before := s.passwords.Hashes()
		_, _, err := s.Login(t.Context(), email, "wrong horse battery")
		require.Equal(t, "wrong_credentials", fault.CodeOf(err), email)
		require.Equal(t, before+1, s.passwords.Hashes(), email)
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
