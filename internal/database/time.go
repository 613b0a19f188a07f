package database

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// Time is a point in time as both engines keep it: TIMESTAMPTZ in PostgreSQL, microseconds since 1970 in SQLite, UTC when
// read. The zero Time is NULL.
type Time struct{ time.Time }

// At returns t with the precision both engines keep, so that what is written equals what is read.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Microsecond)} }

// Value implements driver.Valuer.
func (t Time) Value() (driver.Value, error) {
	if t.IsZero() {
		return nil, nil
	}
	return At(t.Time).Time, nil
}

// Scan implements sql.Scanner.
func (t *Time) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		t.Time = time.Time{}
	case time.Time:
		t.Time = v.UTC()
	case int64:
		t.Time = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("cannot read a time from %T", src)
	}
	return nil
}
