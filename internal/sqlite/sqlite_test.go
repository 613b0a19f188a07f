package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/sqlite"
)

// open returns a pool of one connection on a table of three words.
func open(t testing.TB, with func(dsn string) (*sql.DB, error)) *sql.DB {
	t.Helper()
	pool, err := with("file:" + filepath.Join(t.TempDir(), "words.db") + "?_pragma=journal_mode(WAL)")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	pool.SetMaxOpenConns(1)
	_, err = pool.Exec(`CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT UNIQUE)`)
	require.NoError(t, err)
	for id, word := range []string{"zero", "one", "two"} {
		_, err := pool.Exec(`INSERT INTO words (id, word) VALUES (?, ?)`, id, word)
		require.NoError(t, err)
	}
	return pool
}

func kept(dsn string) (*sql.DB, error) { return sqlite.Open(dsn, nil), nil }

func word(t *testing.T, pool *sql.DB, id int) string {
	t.Helper()
	var word string
	require.NoError(t, pool.QueryRow(`SELECT word FROM words WHERE id = ?`, id).Scan(&word))
	return word
}

// A kept statement must give what a new one would, also after a run that failed or was not read to its end.
func TestAKeptStatementBehavesLikeANewOne(t *testing.T) {
	t.Parallel()

	t.Run("with other arguments, and after one that found nothing", func(t *testing.T) {
		t.Parallel()
		pool := open(t, kept)
		require.Equal(t, "one", word(t, pool, 1))
		require.ErrorIs(t, pool.QueryRow(`SELECT word FROM words WHERE id = ?`, 9).Scan(new(string)), sql.ErrNoRows)
		require.Equal(t, "two", word(t, pool, 2))
	})

	t.Run("while rows of the same text are being read", func(t *testing.T) {
		t.Parallel()
		pool := open(t, kept)
		tx, err := pool.Begin()
		require.NoError(t, err)
		above := func(id int, each func(id int)) {
			rows, err := tx.Query(`SELECT id FROM words WHERE id >= ? ORDER BY id`, id)
			require.NoError(t, err)
			defer func() { require.NoError(t, rows.Close()) }()
			for rows.Next() {
				var id int
				require.NoError(t, rows.Scan(&id))
				each(id)
			}
			require.NoError(t, rows.Err())
		}
		var pairs []string
		above(0, func(from int) {
			above(from, func(to int) { pairs = append(pairs, fmt.Sprint(from, to)) })
		})
		require.NoError(t, tx.Commit())
		require.Equal(t, []string{"0 0", "0 1", "0 2", "1 1", "1 2", "2 2"}, pairs)
	})

	t.Run("after it has failed", func(t *testing.T) {
		t.Parallel()
		pool := open(t, kept)
		const insert = `INSERT INTO words (id, word) VALUES (?, ?)`
		_, err := pool.Exec(insert, 3, "one")
		require.ErrorContains(t, err, "UNIQUE")
		_, err = pool.Exec(insert, 3, "three")
		require.NoError(t, err)
		require.Equal(t, "three", word(t, pool, 3))
	})

	t.Run("after its rows were left half read, and its context has ended", func(t *testing.T) {
		t.Parallel()
		pool := open(t, kept)
		first := func(ctx context.Context, id int, then func()) string {
			rows, err := pool.QueryContext(ctx, `SELECT word FROM words WHERE id >= ?`, id)
			require.NoError(t, err)
			defer func() { require.NoError(t, rows.Close()) }()
			require.True(t, rows.Next(), rows.Err())
			var word string
			require.NoError(t, rows.Scan(&word))
			then()
			return word
		}
		ctx, cancel := context.WithCancel(t.Context())
		require.Equal(t, "zero", first(ctx, 0, cancel))
		_, err := pool.Exec(`UPDATE words SET word = ? WHERE id = ?`, "uno", 1)
		require.NoError(t, err, "the rows still hold their lock")
		require.Equal(t, "uno", first(t.Context(), 1, func() {}))
	})

	t.Run("after the table has changed", func(t *testing.T) {
		t.Parallel()
		pool := open(t, kept)
		const all = `SELECT * FROM words WHERE id = ?`
		columns := func() []string {
			rows, err := pool.Query(all, 1)
			require.NoError(t, err)
			defer func() { require.NoError(t, rows.Close()) }()
			names, err := rows.Columns()
			require.NoError(t, err)
			require.NoError(t, rows.Err())
			return names
		}
		require.Equal(t, []string{"id", "word"}, columns())
		_, err := pool.Exec(`ALTER TABLE words ADD COLUMN language TEXT`)
		require.NoError(t, err)
		_, err = pool.Exec(`UPDATE words SET language = ? WHERE id = ?`, "en", 1)
		require.NoError(t, err)
		require.Equal(t, "one", word(t, pool, 1))
		var id int
		var text, language string
		require.NoError(t, pool.QueryRow(all, 1).Scan(&id, &text, &language))
		require.Equal(t, "en", language)
	})

	t.Run("when there are more than are kept", func(t *testing.T) {
		t.Parallel()
		pool := open(t, kept)
		for n := range 500 {
			var got int
			require.NoError(t, pool.QueryRow(fmt.Sprintf(`SELECT id + %d FROM words WHERE id = ?`, n), 1).Scan(&got))
			require.Equal(t, n+1, got)
		}
	})
}

func TestSeveralOpenOneNewFile(t *testing.T) {
	t.Parallel()
	for n := range 200 { // what two of them do to each other depends on the moment
		dsn := fmt.Sprintf("file:%s?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)", filepath.Join(t.TempDir(), fmt.Sprint(n)))
		var all sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			all.Go(func() {
				pool := sqlite.Open(dsn, nil)
				errs[i] = errors.Join(pool.Ping(), pool.Close())
			})
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...))
	}
}

// What keeping statements is for: the same work with the driver as it comes.
func BenchmarkStatement(b *testing.B) {
	for name, with := range map[string]func(dsn string) (*sql.DB, error){
		"kept":        kept,
		"parsed anew": func(dsn string) (*sql.DB, error) { return sql.Open("sqlite", dsn) },
	} {
		b.Run(name, func(b *testing.B) {
			pool := open(b, with)
			for b.Loop() {
				var word string
				require.NoError(b, pool.QueryRow(`SELECT word FROM words WHERE id = ? AND word IS NOT NULL AND length(word) > ?`, 1, 0).Scan(&word))
			}
		})
	}
}
