package listen

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"regexp"

	"example.com/orderly/internal/database"
)

//go:embed migrations/*.sql
var files embed.FS

var inboxTables = database.Embedded("inbox", files)

// Migrations are the numbered, forward-only files (goose's format) behind Inbox.Migrate.
func Migrations() fs.FS { return inboxTables.Files }

// Tables is a set of migrations for the tables of a listener, beside those of the inbox in the same database.
type Tables struct {
	// Set names the set, in lower-case letters, digits and '_': how far it has come is kept in the table schema_<Set>, so that
	// listeners that share a database number their files independently. A renamed set begins again from its first file.
	Set string
	// Files holds the migrations in its top folder: <number>_<name>.sql, applied once each in the order of their numbers, each
	// beginning with the line "-- +goose Up" (https://github.com/pressly/goose). The same text runs on either engine if it keeps
	// to what both understand: TEXT, BIGINT, BOOLEAN, TIMESTAMPTZ.
	Files fs.FS
}

var validSet = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// Migrate brings the inbox's tables up to date, and then those of the listeners, in the order given. It does nothing where nothing
// is missing, and is safe from several processes at once. PostgreSQL's login needs the right to create tables.
func (in *Inbox) Migrate(ctx context.Context, own ...Tables) error {
	sets := []database.Migrations{inboxTables}
	for _, tables := range own {
		if !validSet.MatchString(tables.Set) || tables.Set == inboxTables.Set {
			return fmt.Errorf("migrate tables %q: a set's name is 1-40 of a-z, 0-9, '_', and not %q", tables.Set, inboxTables.Set)
		}
		sets = append(sets, database.Migrations(tables))
	}
	return in.db.Migrate(ctx, sets...)
}
