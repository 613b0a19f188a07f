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

// Nothing that waits may be below the mark for longer than a mark is believed.
func TestTheLowWaterMarkIsBelowWhatWaits(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx, db := t.Context(), open("notes", notes)
		water := db.LowWater(`SELECT noted_at FROM notes ORDER BY noted_at LIMIT 1`)
		start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		note := func(id string, at time.Time) {
			t.Helper()
			_, err := db.Exec(ctx, `INSERT INTO notes (id, noted_at) VALUES (?, ?)`, id, database.At(at))
			require.NoError(t, err)
		}
		mark := func(now time.Time) time.Time {
			t.Helper()
			at, err := water.Mark(ctx, now)
			require.NoError(t, err)
			require.False(t, at.IsZero(), "it would be NULL, and nothing is above that")
			return at.Time
		}

		require.True(t, mark(start).Before(start), "nothing waits, and what comes now must be above the mark")

		note("written before the mark, committed after it", start.Add(-time.Hour))
		late := start.Add(-time.Hour)
		require.False(t, mark(start.Add(10*time.Second)).After(late), "a late one is still not seen after ten seconds")

		note("still to come", start.Add(time.Hour))
		require.False(t, mark(start.Add(20*time.Second)).After(late))
		_, err := db.Exec(ctx, `DELETE FROM notes WHERE noted_at <= ?`, database.At(late))
		require.NoError(t, err)
		require.False(t, mark(start.Add(30*time.Second)).After(start.Add(30*time.Second)), "it is above what comes now")
		if db.Engine() == database.PostgreSQL {
			require.True(t, mark(start.Add(30*time.Second)).After(start), "it does not rise with the queue")
		}
		require.False(t, mark(start.Add(-time.Minute)).After(start.Add(-time.Minute)), "the clock was set back")
	})
}

func TestALookForTheMarkIsNotWaitedForWithoutEnd(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		db := open("notes", notes)
		if db.Engine() == database.SQLite {
			t.Skip("there is no look on SQLite")
		}
		water := db.LowWater(`SELECT noted_at FROM notes ORDER BY noted_at LIMIT 1`)
		look := func(ctx context.Context) error {
			_, err := water.Mark(ctx, time.Now())
			return err
		}
		require.NoError(t, db.InTx(t.Context(), func(tx *database.Tx) error {
			_, err := tx.Exec(t.Context(), `LOCK TABLE notes IN ACCESS EXCLUSIVE MODE`)
			require.NoError(t, err)
			looked := make(chan error, 2)
			go func() { looked <- look(t.Context()) }()
			require.Eventually(t, func() bool {
				var waiting int
				return db.Get(t.Context(), &waiting, `SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND relation = 'notes'::regclass`) == nil && waiting == 1
			}, 10*time.Second, time.Millisecond)

			soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			go func() { looked <- look(soon) }()
			for _, who := range []string{"the caller that waits for the query of another", "the caller that runs the query"} {
				select {
				case err := <-looked:
					require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
				case <-time.After(30 * time.Second):
					t.Fatalf("%s has no end", who)
				}
			}
			return nil
		}))
		require.NoError(t, look(t.Context()))
	})
}
