package database

import (
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"

	"example.com/orderly/internal/sqlite"
)

// maxOpen is the pool of one database in one process. Small on purpose: a process may hold six of them, and PostgreSQL serves
// a few busy connections better than many waiting ones.
const maxOpen = 4

// longestLife is how long a connection to PostgreSQL is used. A name that leads to another server, a pooler that spreads its clients and a setting
// of the login are heeded after it at the latest.
const longestLife = 15 * time.Minute

// What each session is told, or behind a pooler each transaction.
//
// The time-out ends the transaction of a process whose machine has failed, so that it does not keep its locks for longer than a
// transaction of ours takes (longestTx, a minute); the server would notice the loss after hours. Sequential scans are off because every
// statement that runs all day has an index, but PostgreSQL keeps the plan that it made for a connection while a table was small and
// faster to read from end to end. With such scans counted as expensive, jit would compile the few statements that need one.
const (
	idleSetting = `idle_in_transaction_session_timeout = 60000`
	planSetting = `enable_seqscan = off`
	jitSetting  = `jit = off`
)

var settings = []string{idleSetting, planSetting, jitSetting}

// Session is what a connection to PostgreSQL is told first. These are no parameters of the connection, which poolers refuse.
const Session = `SET ` + idleSetting + `; SET ` + planSetting + `; SET ` + jitSetting

// PostgresPool returns a pool on the PostgreSQL database at rawURL, each connection of which is told Session first; with
// pool_mode=transaction in the URL each transaction is, and no session state is used. It connects when it is first used. The error never
// quotes the password.
func PostgresPool(rawURL string) (*sql.DB, error) {
	pool, _, err := postgresPool(rawURL, newWatch(), settings)
	return pool, err
}

func postgresPool(rawURL string, seen *watch, settings []string) (pool *sql.DB, byTx bool, err error) {
	config, err := pgx.ParseConfig(rawURL)
	if err != nil {
		return nil, false, errors.New("the URL cannot be read") // the driver's own message may quote the password
	}
	if byTx, err = pooled(config); err != nil {
		return nil, false, err
	}
	s := sessions{seen}
	config.Tracer = s
	if byTx {
		pool = sql.OpenDB(byTransaction(config, s, settings))
	} else {
		pool = stdlib.OpenDB(*config, bySession(s, settings)...)
	}
	pool.SetMaxOpenConns(maxOpen)
	pool.SetMaxIdleConns(maxOpen)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	pool.SetConnMaxLifetime(longestLife)
	return pool, byTx, nil
}

// SQLitePool opens the file at path for writing; the file and its folder are made when missing, for this user alone. SQLite allows one writer: one
// connection whose transactions take the write lock at BEGIN never has to upgrade a read lock, which is what makes SQLITE_BUSY
// unavoidable.
func SQLitePool(path string) (*sql.DB, error) { return sqlitePool(path, newWatch()) }

func sqlitePool(path string, seen *watch) (*sql.DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := sqlite.MakePrivate(path); err != nil {
		return nil, err
	}
	pool := sqlite.Open(sqliteDSN(path), seen.saw)
	pool.SetMaxOpenConns(1)
	if err := pool.Ping(); err != nil {
		return nil, errors.Join(classify(err), pool.Close())
	}
	return pool, nil
}

func sqliteDSN(path string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_txlock=immediate&_time_integer_format=unix_micro&_pragma=busy_timeout(5000)" +
		"&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
}

// Over is a DB on a pool that the caller opened and closes; reads and writes share it.
func Over(name string, engine Engine, pool *sql.DB) *DB {
	driver := "sqlite"
	if engine == PostgreSQL {
		driver = "pgx"
	}
	on := sqlx.NewDb(pool, driver)
	return &DB{name: name, engine: engine, write: on, read: on, watch: newWatch(), patient: make(chan struct{}, 1)}
}

// Pool is the pool that writes; the DB closes it. On SQLite it has a single connection, so a caller that holds a transaction on it
// must not begin another.
func (db *DB) Pool() *sql.DB { return db.write.DB }
