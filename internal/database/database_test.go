package database_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/testenv"
)

var notes = database.Migrations{Set: "notes", Files: fstest.MapFS{"00001_notes.sql": {Data: []byte(`
-- +goose Up
CREATE TABLE notes (
    id       TEXT        PRIMARY KEY,
    count    BIGINT      NOT NULL DEFAULT 0 CHECK (count >= 0),
    noted_at TIMESTAMPTZ
);
`)}}}

func TestInTxKeepsWhatWasCommittedAndNothingElse(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx, db := t.Context(), open("notes", notes)
		insert := func(tx *database.Tx, id string) error {
			_, err := tx.Exec(ctx, `INSERT INTO notes (id) VALUES (?)`, id)
			return err
		}

		require.NoError(t, db.InTx(ctx, func(tx *database.Tx) error { return insert(tx, "kept") }))
		boom := errors.New("boom")
		require.ErrorIs(t, db.InTx(ctx, func(tx *database.Tx) error {
			require.NoError(t, insert(tx, "error"))
			return boom
		}), boom)
		require.PanicsWithValue(t, "boom", func() {
			_ = db.InTx(ctx, func(tx *database.Tx) error {
				require.NoError(t, insert(tx, "panic"))
				panic("boom")
			})
		})

		var ids []string
		require.NoError(t, db.Select(ctx, &ids, `SELECT id FROM notes`))
		require.Equal(t, []string{"kept"}, ids)
	})
}

// A context that ends between the last statement and the commit must not turn a success into a silent rollback.
func TestInTxCommitsThoughTheContextHasEnded(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		db := open("notes", notes)
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, db.InTx(ctx, func(tx *database.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO notes (id) VALUES ('late')`)
			cancel()
			return err
		}))
		var count int
		require.NoError(t, db.Get(t.Context(), &count, `SELECT COUNT(*) FROM notes`))
		require.Equal(t, 1, count)
	})
}

func TestInTxReportsAFailedCommit(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx := t.Context()
		db := open("notes", database.Migrations{Set: "deferred", Files: fstest.MapFS{"00001_deferred.sql": {Data: []byte(`
-- +goose Up
CREATE TABLE parents (id TEXT PRIMARY KEY);
CREATE TABLE children (parent TEXT NOT NULL REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED);
`)}}})
		called := false
		require.Error(t, db.InTx(ctx, func(tx *database.Tx) error {
			tx.AfterCommit(func() { called = true })
			_, err := tx.Exec(ctx, `INSERT INTO children (parent) VALUES ('unknown')`)
			require.NoError(t, err)
			return nil
		}))
		require.False(t, called, "a hook ran for a transaction that was not committed")
	})
}

func TestAttemptTakesBackItsStatementsAlone(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx, db := t.Context(), open("notes", notes)
		no, hooks := errors.New("no"), 0
		require.NoError(t, db.InTx(ctx, func(tx *database.Tx) error {
			require.ErrorIs(t, tx.Attempt(ctx, func() error {
				tx.AfterCommit(func() { hooks++ })
				_, err := tx.Exec(ctx, `INSERT INTO notes (id) VALUES ('taken back')`)
				require.NoError(t, err)
				return no
			}), no)
			_, err := tx.Exec(ctx, `INSERT INTO notes (id) VALUES ('kept')`)
			return err
		}))
		var ids []string
		require.NoError(t, db.Select(ctx, &ids, `SELECT id FROM notes`))
		require.Equal(t, []string{"kept"}, ids)
		require.Zero(t, hooks)
	})
}

// Two transactions that lock the same two rows in opposite order: one loses, and is run again.
func TestInTxRunsADeadlockedTransactionAgain(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx, db := t.Context(), open("notes", notes)
		_, err := db.Exec(ctx, `INSERT INTO notes (id) VALUES ('a'), ('b')`)
		require.NoError(t, err)

		var both, done sync.WaitGroup
		both.Add(2)
		errs := make([]error, 2)
		for i, order := range [][]string{{"a", "b"}, {"b", "a"}} {
			done.Go(func() {
				first := true
				errs[i] = db.InTx(ctx, func(tx *database.Tx) error {
					for n, id := range order {
						if _, err := tx.Exec(ctx, `UPDATE notes SET count = count + 1 WHERE id = ?`, id); err != nil {
							return err
						}
						if n == 0 && first && db.Engine() == database.PostgreSQL {
							first = false
							both.Done()
							both.Wait()
						}
					}
					return nil
				})
			})
		}
		done.Wait()
		require.NoError(t, errors.Join(errs...))
		var counts []int
		require.NoError(t, db.Select(ctx, &counts, `SELECT count FROM notes ORDER BY id`))
		require.Equal(t, []int{2, 2}, counts)
		if db.Engine() == database.PostgreSQL {
			require.Positive(t, db.Retries())
		}
	})
}

// Without that time-out a process whose machine has failed would keep its locks for hours.
func TestTheServerEndsATransactionThatIdles(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		db := open("notes", notes)
		if db.Engine() == database.SQLite {
			t.Skip("SQLite has no server: locks are those of the process")
		}
		var longest string
		require.NoError(t, db.Get(t.Context(), &longest, `SHOW idle_in_transaction_session_timeout`))
		require.Equal(t, "1min", longest)
	})
}

func TestTimeIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx, db := t.Context(), open("notes", notes)
		at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("east", 3600))
		_, err := db.Exec(ctx, `INSERT INTO notes (id, noted_at) VALUES ('set', ?), ('null', ?)`, database.At(at), database.Time{})
		require.NoError(t, err)
		var read []database.Time
		require.NoError(t, db.Select(ctx, &read, `SELECT noted_at FROM notes ORDER BY id DESC`))
		require.Equal(t, database.At(at), read[0])
		require.True(t, read[1].IsZero())

		var later int
		require.NoError(t, db.Get(ctx, &later, `SELECT COUNT(*) FROM notes WHERE noted_at < ?`, database.At(at.Add(time.Microsecond))))
		require.Equal(t, 1, later)
	})
}

func TestMigrateFromSeveralConnectionsAtOnce(t *testing.T) {
	t.Parallel()
	for range 20 { // what two of them do to each other depends on the moment
		path := "sqlite:" + filepath.Join(t.TempDir(), "shared.db")
		var all sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			all.Go(func() {
				db, err := database.Open(t.Context(), "shared", path)
				if err == nil {
					err = errors.Join(db.Migrate(t.Context(), notes), db.Close())
				}
				errs[i] = err
			})
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...))
	}
}

// Pending only asks. A newer schema than the asker's is none of its business: old code runs beside new code during an upgrade.
func TestPendingNamesTheSetThatIsBehind(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx, db := t.Context(), open("notes")
		next := database.Migrations{Set: notes.Set, Files: fstest.MapFS{
			"00001_notes.sql": notes.Files.(fstest.MapFS)["00001_notes.sql"],
			"00002_more.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE more (id TEXT PRIMARY KEY);\n")},
		}}
		pending := func(set database.Migrations, want string) {
			t.Helper()
			for range 2 {
				is, err := db.Pending(ctx, set)
				require.NoError(t, err)
				require.Equal(t, want, is)
			}
		}
		versions := func() (count int, err error) {
			err = db.Get(ctx, &count, `SELECT COUNT(*) FROM schema_notes`)
			return count, err
		}
		pending(notes, "notes")
		_, err := versions()
		require.Error(t, err, "asking has made the table of versions")

		require.NoError(t, db.Migrate(ctx, notes))
		pending(notes, "")
		pending(next, "notes")
		require.NoError(t, db.Migrate(ctx, next))
		before, err := versions()
		require.NoError(t, err)
		pending(notes, "")
		after, err := versions()
		require.NoError(t, err)
		require.Equal(t, before, after)
		var rows int
		require.NoError(t, db.Get(ctx, &rows, `SELECT COUNT(*) FROM more`))
	})
}

// What is left of a connection that was ended in the middle of something is an outage; what a statement did wrong is a defect.
func TestHowAConnectionEndsIsToldFromADefect(t *testing.T) {
	t.Parallel()
	db := testenv.SQLite(t, "notes", notes)
	for name, c := range map[string]struct {
		err  error
		kind fault.Kind
	}{
		"the driver gave the connection up":  {driver.ErrBadConn, fault.Unavailable},
		"the connection was returned":        {sql.ErrConnDone, fault.Unavailable},
		"pgx has closed it":                  {fmt.Errorf("exec: %w", pgconn.ErrConnClosed), fault.Unavailable},
		"cut between two messages":           {io.EOF, fault.Unavailable},
		"cut within a message":               {fmt.Errorf("receive: %w", io.ErrUnexpectedEOF), fault.Unavailable},
		"the socket is closed":               {net.ErrClosed, fault.Unavailable},
		"the network says so":                {&net.OpError{Op: "read", Err: errors.New("reset")}, fault.Unavailable},
		"no answer in time":                  {context.DeadlineExceeded, fault.Unavailable},
		"a connection failure of the server": {&pgconn.PgError{Code: "08006"}, fault.Unavailable},
		"too many connections":               {&pgconn.PgError{Code: "53300"}, fault.Unavailable},
		"the server is going down":           {&pgconn.PgError{Code: "57P01"}, fault.Unavailable},
		"lost to others too often":           {&pgconn.PgError{Code: "40001"}, fault.Unavailable},
		"the asker has left":                 {context.Canceled, fault.Internal},
		"no such row":                        {sql.ErrNoRows, fault.Internal},
		"a duplicate":                        {&pgconn.PgError{Code: "23505"}, fault.Internal},
		"a statement took too long":          {&pgconn.PgError{Code: "57014"}, fault.Unavailable},
		"the right to do it was taken away":  {&pgconn.PgError{Code: "42501"}, fault.Unavailable},
		"a service's own word":               {fault.New(fault.Declined, "no", "no"), fault.Declined},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := db.InTx(t.Context(), func(*database.Tx) error { return c.err })
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.kind, fault.KindOf(err))
		})
	}
}

func TestOpenNamesTheDatabaseAndHidesThePassword(t *testing.T) {
	t.Parallel()
	_, err := database.Open(t.Context(), "orders", "postgres://app:s3cret@127.0.0.1:1/orders?connect_timeout=2")
	require.ErrorContains(t, err, "open database orders at postgres://app:xxxxx@127.0.0.1:1/orders")
	require.NotContains(t, fmt.Sprint(err), "s3cret")
	require.Equal(t, fault.Unavailable, fault.KindOf(err))

	_, err = database.Open(t.Context(), "orders", "mysql://x")
	require.ErrorContains(t, err, "postgres:// or sqlite:")
}

func TestGetSaysThatThereIsNoRow(t *testing.T) {
	t.Parallel()
	db := testenv.SQLite(t, "notes", notes)
	var id string
	require.ErrorIs(t, db.Get(t.Context(), &id, `SELECT id FROM notes`), sql.ErrNoRows)
}

func TestDescribeSaysWhichServerAndHowDurable(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		db := open("orders")
		text, err := db.Describe(t.Context())
		require.NoError(t, err)
		if db.Engine() == database.PostgreSQL {
			require.Regexp(t, `^PostgreSQL \d+\..*, fsync (on|off), synchronous_commit \w+$`, text)
		} else {
			require.Regexp(t, `^SQLite 3\..*, journal_mode wal, synchronous 2$`, text)
		}
	})
}
