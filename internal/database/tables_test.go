package database_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/testenv"
)

// What others have put beside our tables is no reason not to start; a right that is missing on one of ours is.
func TestRightsAreAskedOfOurTablesAlone(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		more := database.Migrations{Set: "more", Files: fstest.MapFS{
			"00001_more.sql": {Data: []byte("-- +goose Up\nCREATE TABLE old (id TEXT);\nCREATE TABLE gone (id TEXT);\n-- +goose Down\nDROP TABLE old;\n")},
			"00002_more.sql": {Data: []byte("-- +goose Up\nDROP TABLE gone;\nALTER TABLE old RENAME TO renamed;\nCREATE TABLE IF NOT EXISTS added (id TEXT);\n")},
		}}
		owner := open("notes", notes, more)
		if owner.Engine() == database.SQLite {
			require.NoError(t, owner.CheckRights(t.Context(), notes, more))
			return
		}
		login := "orderly_test_" + strings.ToLower(rand.Text()[:12])
		do := func(statement string) {
			t.Helper()
			_, err := owner.Exec(context.WithoutCancel(t.Context()), statement)
			require.NoError(t, err)
		}
		do(`CREATE ROLE ` + login + ` LOGIN PASSWORD 's3cret'`)
		t.Cleanup(func() { do(`DROP OWNED BY ` + login); do(`DROP ROLE ` + login) })
		do(`GRANT SELECT ON schema_notes, schema_more TO ` + login)
		do(`GRANT SELECT, INSERT, UPDATE, DELETE ON notes, renamed, added TO ` + login)
		for _, foreign := range []string{`CREATE TABLE heartbeat (at TIMESTAMPTZ)`, `CREATE TABLE spatial_ref_sys (srid INT)`, `CREATE TABLE gone (id INT)`} {
			do(foreign)
		}
		at, err := url.Parse(testenv.URL(t, owner))
		require.NoError(t, err)
		at.User = url.UserPassword(login, "s3cret")
		db, err := database.Open(t.Context(), "notes", at.String())
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()
		require.NoError(t, db.CheckRights(t.Context(), notes, more))

		do(`REVOKE UPDATE ON notes FROM ` + login)
		require.ErrorContains(t, db.CheckRights(t.Context(), notes, more), "may not read and change table notes of the notes database: grant it")
		do(`GRANT UPDATE ON notes TO ` + login)
		do(`REVOKE DELETE ON renamed FROM ` + login)
		require.ErrorContains(t, db.CheckRights(t.Context(), notes, more), "table renamed")
		do(`GRANT DELETE ON renamed TO ` + login)
		do(`DROP TABLE added`)
		err = db.CheckRights(t.Context(), notes, more)
		require.ErrorContains(t, err, "table added of the notes database is not there")
		require.NoError(t, errors.Unwrap(err))
	})
}
