package database_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/testenv"
)

func note(t *testing.T, db *database.DB, id string) error {
	t.Helper()
	_, err := db.Exec(t.Context(), `INSERT INTO notes (id) VALUES (?)`, id)
	return err
}

// writable is what readiness asks; the rights are as they were.
func writable(t *testing.T, db *database.DB) error {
	t.Helper()
	return db.Writable(t.Context(), func(context.Context) error { return nil })
}

// A database that is set read-only and back: nothing is a defect, readiness tells, and the sessions that were begun meanwhile are not used again.
func TestAServerThatTakesNoWrites(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		db := open("notes", notes)
		if db.Engine() == database.SQLite {
			t.Skip("a SQLite file is made read-only by its rights, which root does not heed")
		}
		at, err := url.Parse(testenv.URL(t, db))
		require.NoError(t, err)
		name := strings.TrimPrefix(at.Path, "/")
		admin, err := database.Open(t.Context(), "admin", os.Getenv("DATABASE_URL"))
		require.NoError(t, err)
		defer func() { require.NoError(t, admin.Close()) }()
		do := func(statement string) {
			_, err := admin.Exec(t.Context(), statement)
			require.NoError(t, err)
		}
		require.NoError(t, writable(t, db))

		for _, first := range []string{"a look", "a write"} { // of a process that is at rest, and of one that is not
			do(`ALTER DATABASE ` + name + ` SET default_transaction_read_only = on`)
			do(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '` + name + `'`)
			require.Eventually(t, func() bool { return db.Ping(t.Context()) == nil }, 10*time.Second, time.Millisecond)
			for range 3 {
				err := note(t, db, "refused")
				require.Equal(t, database.CodeUnavailable, fault.CodeOf(err))
				require.ErrorContains(t, err, "read-only")
				require.Equal(t, database.CodeUnavailable, fault.CodeOf(db.InTx(t.Context(), func(tx *database.Tx) error {
					_, err := tx.Exec(t.Context(), `INSERT INTO notes (id) VALUES ('refused')`)
					return err
				})))
				require.Equal(t, fault.Unavailable, fault.KindOf(writable(t, db)))
				require.NoError(t, db.Ping(t.Context()), "it can be read")
			}

			do(`ALTER DATABASE ` + name + ` RESET default_transaction_read_only`)
			if first == "a look" {
				require.Eventually(t, func() bool { return writable(t, db) == nil }, 10*time.Second, time.Millisecond)
			}
			for range 2 * 4 { // each connection of the pool, whichever comes
				require.NoError(t, note(t, db, time.Now().String()), first)
			}
			require.NoError(t, writable(t, db), first)
		}
	})
}

// A write that the server refuses for a reason that is not the statement's makes a process not ready, and no other failure does. A write is tried
// before it is ready again.
func TestARefusedWriteIsTold(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		db := open("notes", notes)
		require.NoError(t, note(t, db, "once"))
		require.Equal(t, fault.Internal, fault.KindOf(note(t, db, "once")))
		require.NoError(t, writable(t, db))
		if db.Engine() == database.SQLite {
			_, err := db.Pool().ExecContext(t.Context(), `PRAGMA max_page_count = 1`) // it can't grow
			require.NoError(t, err)
			require.Equal(t, database.CodeUnavailable, fault.CodeOf(note(t, db, strings.Repeat("big", 100_000))))
			require.Equal(t, database.CodeUnavailable, fault.CodeOf(writable(t, db)))
		} else {
			do := func(statement string) error {
				_, err := db.Exec(t.Context(), statement)
				return err
			}
			const full = `BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END`
			require.Equal(t, database.CodeUnavailable, fault.CodeOf(do(`DO $$ `+full+` $$`)))
			require.NoError(t, writable(t, db), "there is space again")

			require.Equal(t, database.CodeUnavailable, fault.CodeOf(do(`DO $$ `+full+` $$`)))
			require.NoError(t, do(`CREATE FUNCTION no_space() RETURNS event_trigger LANGUAGE plpgsql AS $$ `+full+` $$`))
			require.NoError(t, do(`CREATE EVENT TRIGGER no_space ON ddl_command_start WHEN TAG IN ('CREATE TABLE AS') EXECUTE FUNCTION no_space()`))
			for range 3 {
				err := writable(t, db)
				require.Equal(t, database.CodeUnavailable, fault.CodeOf(err))
				require.ErrorContains(t, err, "no space left on device")
			}
			require.NoError(t, do(`DROP EVENT TRIGGER no_space`))
			refused := errors.New("the right is gone")
			require.ErrorIs(t, db.Writable(t.Context(), func(context.Context) error { return refused }), refused)
		}
		require.NoError(t, db.Ping(t.Context()), "it can be read")
		require.Eventually(t, func() bool { return writable(t, db) == nil }, 30*time.Second, 10*time.Millisecond)
	})
}

// What a migration changes under a prepared statement is noticed by no one.
func TestATableThatChangesUnderAPreparedStatement(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		db := open("notes", notes)
		if db.Engine() == database.SQLite {
			t.Skip("SQLite prepares anew by itself")
		}
		require.NoError(t, note(t, db, "a"))
		read := map[string]func() error{
			"Get":    func() error { return db.Get(t.Context(), new(string), `SELECT id FROM notes WHERE id = ?`, "a") },
			"Select": func() error { return db.Select(t.Context(), new([]string), `SELECT id FROM notes WHERE id <> ?`, "b") },
			"Change": func() error {
				return db.Change(t.Context(), new(string), `UPDATE notes SET count = count + 1 WHERE id = ? RETURNING id`, "a")
			},
			"InTx": func() error {
				return db.InTx(t.Context(), func(tx *database.Tx) error {
					return tx.Get(t.Context(), new(string), `SELECT id FROM notes WHERE id = ? FOR UPDATE`, "a")
				})
			},
		}
		for name, run := range read {
			require.NoError(t, run(), name)
		}
		_, err := db.Exec(t.Context(), `ALTER TABLE notes ALTER COLUMN id TYPE varchar(200)`)
		require.NoError(t, err)
		before := db.Retries()
		for name, run := range read {
			require.NoError(t, run(), name)
		}
		require.Greater(t, db.Retries(), before, "no statement met it: the test shows nothing")
	})
}

// A connection whose file can't be used is thrown away, and a file that is gone is not replaced by an empty one.
func TestASQLiteFileThatFails(t *testing.T) {
	t.Parallel()
	db := testenv.SQLite(t, "notes", notes)
	_, err := db.Pool().ExecContext(t.Context(), `PRAGMA query_only = 1`) // what a file opened without the right to write says
	require.NoError(t, err)
	err = note(t, db, "a")
	require.Equal(t, database.CodeNeedsOperator, fault.CodeOf(err))
	require.ErrorContains(t, err, "READONLY: give the process the right")
	require.Equal(t, database.CodeNeedsOperator, fault.CodeOf(writable(t, db)))
	require.NoError(t, note(t, db, "a"), "the connection was kept")

	path := strings.TrimPrefix(testenv.URL(t, db), "sqlite:")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600))
	for _, beside := range []string{"-wal", "-shm"} {
		require.NoError(t, os.Truncate(path+beside, 0))
	}
	require.Eventually(t, func() bool { return fault.CodeOf(note(t, db, "b")) == database.CodeNeedsOperator }, 10*time.Second, time.Millisecond)
	require.NoError(t, os.Remove(path))
	require.Eventually(t, func() bool {
		err := note(t, db, "c")
		return err != nil && strings.Contains(err.Error(), "CANTOPEN")
	}, 10*time.Second, time.Millisecond)
	require.NoFileExists(t, path)

	_, err = database.Open(t.Context(), "notes", "sqlite:"+filepath.Dir(path)) // a folder
	require.ErrorContains(t, err, "CANTOPEN")
	require.Equal(t, fault.Internal, fault.KindOf(err))
}
