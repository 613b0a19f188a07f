package database_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/testenv"
)

// Through a pooler that hands out its sessions by the transaction: everything works at once from many sides, a transaction is told what a session
// would be, and other clients of the pooler find the sessions as they were.
func TestAPoolerInTransactionMode(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		direct := open("notes", notes)
		if direct.Engine() == database.SQLite {
			t.Skip("there is no pooler before a file")
		}
		at := testenv.ThroughPooler(t, testenv.URL(t, direct))
		var all sync.WaitGroup
		for client := range 5 { // more than the pooler has sessions
			db, err := database.Open(t.Context(), "notes", at)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			for n := range 10 {
				all.Go(func() { useAll(t, db, fmt.Sprintf("%d-%d", client, n)) })
			}
		}
		all.Wait()
		var count, counted int
		require.NoError(t, direct.Get(t.Context(), &count, `SELECT COUNT(*) FROM notes`))
		require.NoError(t, direct.Get(t.Context(), &counted, `SELECT SUM(count) FROM notes`))
		require.Equal(t, []int{50, 100}, []int{count, counted})

		plain, err := url.Parse(at)
		require.NoError(t, err)
		plain.RawQuery = "default_query_exec_mode=exec"
		other, err := sql.Open("pgx", plain.String())
		require.NoError(t, err)
		defer func() { require.NoError(t, other.Close()) }()
		for range 20 {
			all.Go(func() {
				var scan, lock, idle string
				var prepared, advisory int
				require.NoError(t, other.QueryRowContext(t.Context(), `
					SELECT current_setting('enable_seqscan'), current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'),
					    (SELECT COUNT(*) FROM pg_prepared_statements), (SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
				`).Scan(&scan, &lock, &idle, &prepared, &advisory))
				require.Equal(t, []any{"on", "0", "0", 0, 0}, []any{scan, lock, idle, prepared, advisory})
			})
		}
		all.Wait()
	})
}

// useAll uses each kind of statement, with each kind of argument.
func useAll(t *testing.T, db *database.DB, id string) {
	ctx, now := t.Context(), database.At(time.Now())
	_, err := db.Exec(ctx, `INSERT INTO notes (id, count, noted_at) VALUES (?, ?, ?)`, id, int64(0), now)
	require.NoError(t, err)
	_, err = db.Exec(ctx, `UPDATE notes SET noted_at = ? WHERE id = ?`, database.Time{}, id)
	require.NoError(t, err)
	require.NoError(t, db.Change(ctx, new(int), `UPDATE notes SET count = count + 1, noted_at = ? WHERE id = ? RETURNING count`, now, id))
	among, arg := db.Among("id", []string{id})
	require.NoError(t, db.InTx(ctx, func(tx *database.Tx) error {
		var settings string
		if err := tx.Get(ctx, &settings, `SELECT current_setting('lock_timeout') || ' ' || current_setting('idle_in_transaction_session_timeout')`); err != nil {
			return err
		}
		require.Equal(t, "150ms 1min", settings)
		return tx.Attempt(ctx, func() error {
			_, err := tx.Exec(ctx, `UPDATE notes SET count = count + 1 WHERE `+among, arg)
			return err
		})
	}))
	var read struct {
		ID    string        `db:"id"`
		Count int           `db:"count"`
		Noted database.Time `db:"noted_at"`
	}
	require.NoError(t, db.Get(ctx, &read, `SELECT id, count, noted_at FROM notes WHERE id = ? AND noted_at = ? AND count < ?`, id, now, 100))
	require.Equal(t, 2, read.Count)
	require.Equal(t, now, read.Noted)
	require.NoError(t, db.Select(ctx, new([]string), `SELECT id FROM notes WHERE `+among+` LIMIT (SELECT CAST(? AS BIGINT))`, arg, 1))
	require.NoError(t, writable(t, db))
}

func TestThePoolModeIsOneOfTwo(t *testing.T) {
	t.Parallel()
	for mode, pooled := range map[string]bool{"": false, "?pool_mode=session": false, "?pool_mode=transaction": true, "?sslmode=disable": false} {
		require.Equal(t, pooled, database.Pooled("postgres://h/db"+mode), mode)
		db, err := database.Later("orders", "postgres://h/db"+mode)
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
	_, err := database.Later("orders", "postgres://app:s3cret@h/db?pool_mode=statement")
	require.ErrorContains(t, err, `pool_mode is "statement": it is session, or transaction`)
	require.NotContains(t, err.Error(), "s3cret")
	require.False(t, database.Pooled("sqlite:/orders.db"))
}

// A server that restarts behind its pooler is waited for; a name that the pooler does not know is not.
func TestWhatAPoolerSays(t *testing.T) {
	t.Parallel()
	for said, kind := range map[string]fault.Kind{
		"no such database: orders":             fault.Internal,
		`database "orders" does not exist`:     fault.Internal,
		"no such user: app":                    fault.Internal,
		"password authentication failed":       fault.Internal,
		"unsupported startup parameter: foo":   fault.Internal,
		"the database system is starting up":   fault.Unavailable,
		"query_wait_timeout":                   fault.Unavailable,
		"server conn crashed?":                 fault.Unavailable,
		"no more connections allowed":          fault.Unavailable,
		"server login has been failing, later": fault.Unavailable,
	} {
		server := testenv.NewFailingPostgres(t, nil)
		server.RefuseLogins("08P01", said)
		_, err := database.Open(t.Context(), "orders", server.URL())
		require.Equal(t, kind, fault.KindOf(err), "%v", err)
		require.ErrorContains(t, err, said)
		if kind == fault.Unavailable {
			require.ErrorIs(t, err, database.ErrPooler)
		}
	}
}
