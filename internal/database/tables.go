package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// change matches what makes, renames or drops a table in a migration.
var change = regexp.MustCompile(`(?im)^\s*(?:(CREATE) TABLE (?:IF NOT EXISTS )?"?(\w+)"?|(DROP) TABLE (?:IF EXISTS )?"?(\w+)"?|ALTER TABLE "?(\w+)"? RENAME TO "?(\w+)"?)`)

// tables are the tables that are there once all migrations of the set have run, but for the one that counts them.
func (m Migrations) tables() ([]string, error) {
	names, err := fs.Glob(m.Files, "*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names) // they begin with their numbers
	var tables []string
	drop := func(name string) { tables = slices.DeleteFunc(tables, func(t string) bool { return t == name }) }
	for _, name := range names {
		text, err := fs.ReadFile(m.Files, name)
		if err != nil {
			return nil, err
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		for _, found := range change.FindAllStringSubmatch(up, -1) {
			switch {
			case found[1] != "":
				tables = append(tables, found[2])
			case found[3] != "":
				drop(found[4])
			default:
				drop(found[5])
				tables = append(tables, found[6])
			}
		}
	}
	return tables, nil
}

// CheckRights returns an error that names the first table of the sets which is not there, or whose rows the login may not read and change. Tables
// that others have put beside them are no matter of ours. SQLite has no rights but those of the file, and that is open.
func (db *DB) CheckRights(ctx context.Context, sets ...Migrations) error {
	if db.engine == SQLite {
		return nil
	}
	var ours []string
	for _, set := range sets {
		tables, err := set.tables()
		if err != nil {
			return fmt.Errorf("read the migrations %s: %w", set.Set, err)
		}
		ours = append(ours, tables...)
	}
	var lacking struct {
		Table   string `db:"name"`
		Missing bool   `db:"missing"`
	}
	err := db.Get(ctx, &lacking, `
		SELECT name, at IS NULL AS missing FROM (SELECT name, to_regclass(quote_ident(name)) AS at FROM unnest(CAST(? AS TEXT[])) AS own (name)) AS ours
		WHERE at IS NULL
		   OR NOT (has_table_privilege(at, 'SELECT') AND has_table_privilege(at, 'INSERT')
		       AND has_table_privilege(at, 'UPDATE') AND has_table_privilege(at, 'DELETE'))
		ORDER BY name LIMIT 1`, ours)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return explained(err)
	case lacking.Missing:
		return fmt.Errorf("table %s of the %s database is not there, or not in the login's search_path: restore it, or correct the search_path",
			lacking.Table, db.name)
	}
	return fmt.Errorf("the login may not read and change table %s of the %s database: grant it SELECT, INSERT, UPDATE and DELETE, or use the login "+
		"that ran orderly migrate", lacking.Table, db.name)
}
