package listen

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"example.com/orderly/internal/database"
)

// The engines an inbox can be on.
const (
	PostgreSQL = string(database.PostgreSQL)
	SQLite     = string(database.SQLite)
)

// Session is the SQL that each connection to PostgreSQL must run first where a program opens its own pool: with it, a process that
// vanished with its machine does not keep its locks, and every statement, those of Apply and Record included, reads by an index where
// there is one.
const Session = database.Session

// OpenPostgres returns a pool on the database at rawURL, postgres://user:password@host:5432/database, as an Inbox needs it: each
// connection runs Session first, and there are at most four. The database must exist. It connects when it is first used; an
// error is about the URL and never shows it.
func OpenPostgres(rawURL string) (*sql.DB, error) {
	pool, err := database.PostgresPool(rawURL)
	if err != nil {
		return nil, fmt.Errorf("open the PostgreSQL database of the inbox: %w", err)
	}
	return pool, nil
}

// OpenSQLite opens the SQLite file at path, made when missing, as its folder is, as an Inbox needs it: one connection, whose
// transactions take the write lock when they begin. A second connection to the file, for reading, may be opened beside it.
func OpenSQLite(path string) (*sql.DB, error) {
	pool, err := database.SQLitePool(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return pool, nil
}

// OpenURL is OpenPostgres for a URL that starts with postgres:// or postgresql://, and OpenSQLite for sqlite:<path>. Pool and engine
// are what Open asks for.
func OpenURL(rawURL string) (pool *sql.DB, engine string, err error) {
	switch path, isFile := strings.CutPrefix(rawURL, "sqlite:"); {
	case isFile:
		pool, err = OpenSQLite(path)
		return pool, SQLite, err
	case strings.HasPrefix(rawURL, "postgres://"), strings.HasPrefix(rawURL, "postgresql://"):
		pool, err = OpenPostgres(rawURL)
		return pool, PostgreSQL, err
	}
	return nil, "", errors.New("the URL of the inbox's database must start with postgres:// or sqlite:")
}
