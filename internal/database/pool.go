package database

import (
	"database/sql"

	"github.com/jmoiron/sqlx"
)

// Over is a DB on a pool that somebody else opened and closes; reads and writes share it.
func Over(name string, engine Engine, pool *sql.DB) *DB {
	driver := "sqlite"
	if engine == PostgreSQL {
		driver = "pgx"
	}
	on := sqlx.NewDb(pool, driver)
	return &DB{name: name, engine: engine, write: on, read: on}
}

// Pool is the pool that writes; it stays the DB's to close. On SQLite it has a single connection, so whoever holds a
// transaction on it must not ask for another.
func (db *DB) Pool() *sql.DB { return db.write.DB }
