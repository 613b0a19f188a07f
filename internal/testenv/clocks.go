package testenv

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
)

// Apart opens the PostgreSQL database of db twice more, as two processes would whose own clocks are an hour ahead and an hour behind.
func Apart(t testing.TB, db *database.DB) (ahead, behind *database.DB) {
	t.Helper()
	by := func(skew time.Duration) *database.DB {
		opened, err := database.Later(db.Name(), URL(t, db))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, opened.Close()) })
		opened.SetOwnClock(func() time.Time { return time.Now().Add(skew) })
		return opened
	}
	return by(time.Hour), by(-time.Hour)
}

// ServerTime is what the clock of the PostgreSQL server says.
func ServerTime(t testing.TB, db *database.DB) time.Time {
	t.Helper()
	var at database.Time
	require.NoError(t, db.Get(t.Context(), &at, `SELECT clock_timestamp()`))
	return at.Time
}
