package database

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// lockMigrations makes processes migrate one after the other. On PostgreSQL goose holds an advisory lock itself; for SQLite
// it has none, so the file beside the database serves.
func (db *DB) lockMigrations(ctx context.Context) (release func(), err error) {
	if db.engine == PostgreSQL {
		return func() {}, nil
	}
	var path string
	if err := db.write.GetContext(ctx, &path, `SELECT file FROM pragma_database_list WHERE name = 'main'`); err != nil {
		return nil, err
	}
	return lockFile(ctx, path+".migrate.lock")
}

func (db *DB) hasTable(ctx context.Context, name string) (exists bool, err error) {
	query := `SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?)`
	if db.engine == PostgreSQL {
		query = `SELECT to_regclass(quote_ident(?)) IS NOT NULL`
	}
	err = db.Get(ctx, &exists, query, name)
	return exists, err
}

// Describe says which server is behind the DB and what it does for durability, on which its speed depends.
func (db *DB) Describe(ctx context.Context) (text string, err error) {
	query := `SELECT 'SQLite ' || sqlite_version() || ', journal_mode ' || (SELECT journal_mode FROM pragma_journal_mode)
		|| ', synchronous ' || (SELECT synchronous FROM pragma_synchronous)`
	if db.engine == PostgreSQL {
		query = `SELECT 'PostgreSQL ' || current_setting('server_version') || ', fsync ' || current_setting('fsync')
			|| ', synchronous_commit ' || current_setting('synchronous_commit')`
	}
	if err := db.Get(ctx, &text, query); err != nil {
		return "", fmt.Errorf("ask the %s database what it is: %w", db.name, err)
	}
	return text, nil
}

func quoteIdentifier(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// createdMeanwhile reports that another process made the same database first (duplicate_database, or the unique index of
// pg_database when both ran at the same moment).
func createdMeanwhile(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "42P04" || pg.Code == "23505")
}

func ensure(ctx context.Context, adminURL, name, owner string) error {
	return administer(ctx, adminURL, func(admin *DB) error {
		var exists bool
		if err := admin.Get(ctx, &exists, `SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = ?)`, name); err != nil {
			return fmt.Errorf("look for database %s: %w", name, err)
		}
		if exists {
			return nil
		}
		// CREATE DATABASE takes no parameters and runs in no transaction.
		statement, needs := `CREATE DATABASE `+quoteIdentifier(name), "the CREATEDB right"
		if owner != "" {
			statement += ` OWNER ` + quoteIdentifier(owner)
			needs += ", and to be a member of " + owner
		}
		_, err := admin.write.ExecContext(ctx, statement)
		if err != nil && !createdMeanwhile(err) {
			return fmt.Errorf("create database %s (the login of DATABASE_URL needs %s): %w", name, needs, classify(err))
		}
		return nil
	})
}

// EnsureFor makes the PostgreSQL database that serviceURL names, on the server and with the login of adminURL, when it is missing. It
// belongs to the login of serviceURL. Safe from several processes at once. Databases of other servers are not made.
func EnsureFor(ctx context.Context, adminURL, serviceURL string) error {
	at, err := url.Parse(serviceURL)
	if err != nil {
		return errors.New("the URL cannot be read") // the parser's own message quotes it, with its password
	}
	admin, err := url.Parse(adminURL)
	if err != nil {
		return errors.New("the URL cannot be read")
	}
	if !strings.HasPrefix(at.Scheme, "postgres") || admin.Host != at.Host {
		return fmt.Errorf("%w, and only those on the server of DATABASE_URL are made: have database %s made", ErrNoDatabase,
			strings.TrimPrefix(at.Path, "/"))
	}
	admin.Path = "/postgres" // the one database every server has
	owner := at.User.Username()
	if owner == admin.User.Username() {
		owner = ""
	}
	return ensure(ctx, admin.String(), strings.TrimPrefix(at.Path, "/"), owner)
}

// DropPostgres removes the PostgreSQL database called name, if it is there, and ends the connections to it.
func DropPostgres(ctx context.Context, adminURL, name string) error {
	return administer(ctx, adminURL, func(admin *DB) error {
		_, err := admin.write.ExecContext(ctx, `DROP DATABASE IF EXISTS `+quoteIdentifier(name)+` WITH (FORCE)`)
		return classify(err)
	})
}

// administer is on a pool that waits for locks as long as they last.
func administer(ctx context.Context, adminURL string, do func(admin *DB) error) error {
	pool, err := PostgresPool(adminURL)
	if err != nil {
		return openError("admin", adminURL, err)
	}
	if err = pool.PingContext(ctx); err != nil {
		err = openError("admin", adminURL, err)
	} else {
		err = do(Over("admin", PostgreSQL, pool))
	}
	return errors.Join(err, pool.Close())
}
