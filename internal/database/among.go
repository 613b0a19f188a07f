package database

import "encoding/json"

// Among is the condition that column is one of values, and the argument for its placeholder. However many values there are the
// text is the same, so that the server parses it once. PostgreSQL assumes that the array of a subselect is short, and finds the rows
// through an index; with an array as a parameter it would rather read a table of some thousand rows from end to end.
func (db *DB) Among(column string, values []string) (condition string, arg any) {
	if db.engine == PostgreSQL {
		return column + ` = ANY (ARRAY(SELECT unnest(CAST(? AS TEXT[]))))`, values
	}
	list, err := json.Marshal(values)
	if err != nil {
		panic(err) // strings always encode
	}
	return column + ` IN (SELECT value FROM json_each(?))`, string(list)
}

// AmongFree is the condition that column is one of those that query, a SELECT of one column, finds and no other transaction has
// locked. It belongs into a statement that changes them: they are locked until the end of its transaction. PostgreSQL would be free
// to run an IN more than once, each time locking other rows; an array is made once, and its elements are looked up with any
// statistics.
func (db *DB) AmongFree(column, query string) string {
	if db.engine == PostgreSQL {
		return column + ` = ANY (ARRAY(` + query + ` FOR UPDATE SKIP LOCKED))`
	}
	return column + ` IN (` + query + `)`
}

// Check makes condition a mere filter on the rows that the statement finds by their key. PostgreSQL would use a bare "state =
// 'pending'" to read a whole partial index of what is pending: with statistics gathered while nothing was pending, it expects a
// single row there.
func Check(condition string) string {
	return `CASE WHEN ` + condition + ` THEN TRUE ELSE FALSE END`
}

// RowID is the engine's own name for a row. It is the cheapest way to come back to rows that AmongFree has found in the same
// statement, and not to be kept for longer.
func (db *DB) RowID() string {
	if db.engine == PostgreSQL {
		return `ctid`
	}
	return `rowid`
}
