package password

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
)

func TestAFloodOfPasswordsIsTurnedAwayAfterABoundedWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := NewHasher()
		for range hashesAtOnce {
			require.NoError(t, p.queue.take(t.Context(), "another"))
		}
		began := time.Now()
		_, err := p.Hash(t.Context(), "correct horse battery")
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		require.Equal(t, "busy", fault.CodeOf(err))
		require.Equal(t, patience, time.Since(began))
		busy, _ := fault.As(err)
		require.Positive(t, busy.RetryAfter)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err = p.Verify(ctx, "", "correct horse battery")
		require.ErrorIs(t, err, context.Canceled)

		p.queue.done()
		_, err = p.Hash(t.Context(), "correct horse battery")
		require.NoError(t, err)
	})
}

func TestAStoredHashThatCannotBeReadIsADefectAndQuotesNothing(t *testing.T) {
	t.Parallel()
	p := NewHasher()
	good, err := p.Hash(t.Context(), "correct horse battery")
	require.NoError(t, err)
	for _, bad := range []string{
		"$argon2id$", good[:len(good)-1], good + "A", "$argon2i" + good[len("$argon2id"):], "x" + good,
		strings.Replace(good, "m=19456", "m=4294967295", 1), strings.Replace(good, "t=2", "t=4294967295", 1),
	} {
		_, _, err := p.Verify(t.Context(), bad, "correct horse battery")
		require.Error(t, err, bad)
		require.Equal(t, fault.Internal, fault.KindOf(err))
		require.NotContains(t, err.Error(), bad)
	}
}
