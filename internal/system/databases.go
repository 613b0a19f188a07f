package system

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/orderly/internal/database"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations are for the database of each service.
func Migrations() database.Migrations { return database.Embedded("system", files) }

// Database is the database of one service, and the variable that names it.
type Database struct {
	Service, Setting string
	DB               *database.DB
}

// IDOf returns the id that the database bears; empty where none was written yet.
func IDOf(ctx context.Context, db *database.DB) (ID, error) {
	var id ID
	err := db.Get(ctx, &id, `SELECT id FROM system_id`)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read which system the %s database belongs to: %w", db.Name(), err)
	}
	return id, nil
}

// Compare returns the id that all of the databases bear. It changes nothing: one that bears none is refused.
func Compare(ctx context.Context, all []Database) (ID, error) {
	id, without, err := look(ctx, all)
	if err == nil && len(without) > 0 {
		err = missing(without[0])
	}
	return id, err
}

// Settle is Compare after the id has been written into the databases that bear none: the one that the others bear, or a new one. Idempotent,
// and safe from several processes at once: the first database decides. Databases that bear different ids are refused before anything is
// written.
func Settle(ctx context.Context, all []Database, now time.Time) (ID, error) {
	id, without, err := look(ctx, all)
	if err != nil || len(without) == 0 {
		return id, err
	}
	first := id == ""
	if first {
		id = NewID()
	}
	for _, one := range without {
		if _, err := one.DB.Exec(ctx, `INSERT INTO system_id (only_row, id, since) VALUES (1, ?, ?) ON CONFLICT (only_row) DO NOTHING`,
			string(id), database.At(now)); err != nil {
			return "", fmt.Errorf("write which system the %s database belongs to (%s): %w", one.Service, one.Setting, err)
		}
		if first { // all who settle at once write to this database first, and go on with the id that it bears
			if id, err = IDOf(ctx, one.DB); err != nil {
				return "", err
			}
			first = false
		}
	}
	return Compare(ctx, all)
}

// Belongs refuses a database that does not bear the id.
func (d Database) Belongs(ctx context.Context, ours ID) error {
	bears, err := IDOf(ctx, d.DB)
	switch {
	case err != nil || bears == ours:
		return err
	case bears == "":
		return missing(d)
	}
	return &mixedError{bear: map[ID][]string{bears: {d.Service + " (" + d.Setting + ")"}, ours: {"the others"}}}
}

// look returns the one id that is borne, empty where there is none, and the databases that bear none.
func look(ctx context.Context, all []Database) (id ID, without []Database, err error) {
	bear := map[ID][]string{}
	for _, one := range all {
		bears, err := IDOf(ctx, one.DB)
		if err != nil {
			return "", nil, err
		}
		if bears == "" {
			without = append(without, one)
			continue
		}
		id = bears
		bear[bears] = append(bear[bears], one.Service+" ("+one.Setting+")")
	}
	if len(bear) > 1 {
		return "", nil, &mixedError{bear}
	}
	return id, without, nil
}

func missing(d Database) error {
	return fmt.Errorf("%s: the %s database does not say which system it belongs to: run orderly migrate", d.Setting, d.Service)
}

// mixedError says that databases of several systems were named.
type mixedError struct{ bear map[ID][]string }

func (e *mixedError) Error() string {
	var said []string
	for id, databases := range e.bear {
		said = append(said, fmt.Sprintf("system %s: %s", id, strings.Join(databases, ", ")))
	}
	slices.Sort(said)
	return "the databases belong to different systems (" + strings.Join(said, "; ") + "): name those of one system, or restore them from its " +
		"backup; where a database is the right one and only its id is wrong, correct that by hand: UPDATE system_id SET id = '...'"
}
