package database_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/testenv"
)

// holdRow locks the row by a session of its own until release is called.
func holdRow(t *testing.T, db *database.DB, id string) (release func()) {
	t.Helper()
	other, err := database.Open(t.Context(), "other", testenv.URL(t, db))
	require.NoError(t, err)
	held, let, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- other.InTx(context.WithoutCancel(t.Context()), func(tx *database.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE notes SET count = count WHERE id = ?`, id)
			close(held)
			<-let
			return err
		})
	}()
	<-held
	return func() {
		close(let)
		require.NoError(t, <-done)
		require.NoError(t, other.Close())
	}
}

// What waits for a lock leaves connections to all others, and comes through when the lock is free.
func TestALockedRowLeavesConnectionsToOthers(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		db := open("notes", notes)
		if db.Engine() == database.SQLite {
			t.Skip("SQLite locks the file, and has one writer")
		}
		require.NoError(t, note(t, db, "locked"))
		require.NoError(t, note(t, db, "free"))
		count := func(ctx context.Context, id string) func() error {
			return func() error {
				return db.InTx(ctx, func(tx *database.Tx) error {
					_, err := tx.Exec(ctx, `UPDATE notes SET count = count + 1 WHERE id = ?`, id)
					return err
				})
			}
		}
		release := holdRow(t, db, "locked")
		var waiting sync.WaitGroup
		begun := time.Now()
		for n := range 8 { // twice the pool, in a transaction or by a single statement
			waiting.Go(func() {
				var err error
				if n%2 == 0 {
					err = count(t.Context(), "locked")()
				} else {
					_, err = db.Exec(t.Context(), `UPDATE notes SET count = count + 1 WHERE id = ?`, "locked")
				}
				require.Equal(t, database.CodeUnavailable, fault.CodeOf(err), "%v", err)
			})
		}
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			require.NoError(t, count(ctx, "free")())
			require.NoError(t, db.Get(ctx, new(int), `SELECT count FROM notes WHERE id = ?`, "locked"), "a row that is locked can be read")
			require.NoError(t, writable(t, db))
			cancel()
		}
		waiting.Wait()
		require.Less(t, time.Since(begun), 20*time.Second)

		go release()
		require.NoError(t, count(t.Context(), "locked")())
		var counted int
		require.NoError(t, db.Get(t.Context(), &counted, `SELECT count FROM notes WHERE id = ?`, "locked"))
		require.Equal(t, 1, counted, "one that was told Unavailable was done")
	})
}

// A transaction whose lock is free within seconds gets it, however it asks.
func TestALockIsWaitedForForSeconds(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		db := open("notes", notes)
		if db.Engine() == database.SQLite {
			t.Skip("SQLite locks the file, and has one writer")
		}
		require.NoError(t, note(t, db, "a"))
		for name, run := range map[string]func() error{
			"InTx": func() error {
				return db.InTx(t.Context(), func(tx *database.Tx) error {
					return tx.Get(t.Context(), new(string), `SELECT id FROM notes WHERE id = ? FOR UPDATE`, "a")
				})
			},
			"Exec": func() error {
				_, err := db.Exec(t.Context(), `UPDATE notes SET count = 1 WHERE id = ?`, "a")
				return err
			},
			"Change": func() error {
				return db.Change(t.Context(), new(string), `UPDATE notes SET count = 1 WHERE id = ? RETURNING id`, "a")
			},
			"ChangeAll": func() error {
				return db.ChangeAll(t.Context(), new([]string), `UPDATE notes SET count = 1 WHERE id = ? RETURNING id`, "a")
			},
			"Get": func() error {
				return db.Get(t.Context(), new(string), `SELECT id FROM notes WHERE id = ? FOR UPDATE`, "a")
			},
			"Select": func() error {
				return db.Select(t.Context(), new([]string), `SELECT id FROM notes WHERE id = ? FOR UPDATE`, "a")
			},
		} {
			release := holdRow(t, db, "a")
			before, done := db.Retries(), make(chan error, 1)
			go func() { done <- run() }()
			require.Eventually(t, func() bool { return db.Retries() > before }, 10*time.Second, time.Millisecond, name) // it is patient now
			release()
			require.NoError(t, <-done, name)
		}
	})
}
