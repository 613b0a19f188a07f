package database_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/testenv"
)

// near requires that the time is the server's.
func near(t *testing.T, db *database.DB, at time.Time) {
	t.Helper()
	require.WithinDuration(t, testenv.ServerTime(t, db), at, 500*time.Millisecond)
}

func TestTheTimeIsTheServersAndNotThisProcesss(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)("notes", notes)
	ahead, behind := testenv.Apart(t, db)
	for skew, on := range map[time.Duration]*database.DB{time.Hour: ahead, -time.Hour: behind} {
		require.NoError(t, on.Ping(t.Context())) // what is asked when a connection begins is enough
		near(t, db, on.Now())
		require.InDelta(t, skew.Seconds(), on.Ahead().Seconds(), 1)
		at, err := on.Time(t.Context())
		require.NoError(t, err)
		near(t, db, at)

		on.SetOwnClock(func() time.Time { return time.Now().Add(-24 * time.Hour) }) // it is set while the process runs
		near(t, db, on.Now())
	}
}

func TestTheTimeIsAskedOnAPoolOfAnotherProgram(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)("notes", notes)
	pool, err := database.PostgresPool(testenv.URL(t, db))
	require.NoError(t, err)
	t.Cleanup(func() { _ = pool.Close() })
	over := database.Over("notes", database.PostgreSQL, pool)
	over.SetOwnClock(func() time.Time { return time.Now().Add(time.Hour) })
	at, err := over.Time(t.Context())
	require.NoError(t, err)
	near(t, db, at)
	near(t, db, over.Now())
}

func TestATimeThatIsNotKnownIsNotMadeUp(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)("notes", notes)
	closed, err := database.Open(t.Context(), "notes", testenv.URL(t, db))
	require.NoError(t, err)
	never, err := database.Later("notes", "postgres://postgres@127.0.0.1:1/nothing?sslmode=disable")
	require.NoError(t, err)
	t.Cleanup(func() { _ = never.Close() })
	_, err = never.Time(t.Context())
	require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)

	require.NoError(t, closed.Close())
	at, err := closed.Time(t.Context())
	require.NoError(t, err, "a server that was asked once may be away: its time goes on")
	near(t, db, at)
}

// The time is no statement more for each order.
func TestTheTimeIsAskedSeldom(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)("notes", notes)
	before := db.Statements()
	for range 10_000 {
		_, err := db.Time(t.Context())
		require.NoError(t, err)
	}
	require.LessOrEqual(t, db.Statements()-before, int64(2))
}

// A machine that slept may have slept with what measures the passing of time, and a server may be set: both are asked for anew.
func TestTheServerIsAskedAnewAfterThisMachineHasSlept(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)("notes", notes)
	for _, statement := range []string{
		`CREATE SCHEMA set_clock`, `CREATE TABLE set_clock.shift (by INTERVAL)`, `INSERT INTO set_clock.shift VALUES ('0')`,
		`CREATE FUNCTION set_clock.clock_timestamp() RETURNS TIMESTAMPTZ LANGUAGE sql VOLATILE
		 AS 'SELECT pg_catalog.clock_timestamp() + (SELECT by FROM set_clock.shift)'`,
	} {
		_, err := db.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	on, err := database.Open(t.Context(), "notes", testenv.URL(t, db)+"&search_path=set_clock,pg_catalog,public")
	require.NoError(t, err)
	t.Cleanup(func() { _ = on.Close() })
	near(t, db, on.Now())
	_, err = db.Exec(t.Context(), `UPDATE set_clock.shift SET by = '1 hour'`)
	require.NoError(t, err)
	near(t, db, on.Now())

	on.SetOwnClock(func() time.Time { return time.Now().Add(time.Minute) })
	at, err := on.Time(t.Context())
	require.NoError(t, err)
	near(t, db, at.Add(-time.Hour))

	// A statement asks, too, once Now has found that the last answer is not to be trusted.
	_, err = db.Exec(t.Context(), `UPDATE set_clock.shift SET by = '2 hours'`)
	require.NoError(t, err)
	on.SetOwnClock(time.Now)
	_ = on.Now()
	require.NoError(t, on.InTx(context.Background(), func(*database.Tx) error {
		near(t, db, on.Now().Add(-2*time.Hour))
		return nil
	}))
}
