package database

import (
	"context"
	"time"
)

const (
	// lowWaterEvery is how long a low-water mark is used. A row that is committed with a time before it waits for as long.
	lowWaterEvery = 5 * time.Second
	// lowWaterSlack is how far a mark stays behind the clock, so that a row which is due when it is written need not wait for the next
	// mark: its transaction may take this long, or the clocks of two processes differ by it.
	lowWaterSlack = 2 * time.Second
	// lowWaterTimeout bounds the query for the mark, and the wait for another goroutine's: a server that is gone may never answer.
	lowWaterTimeout = 5 * time.Second
)

// LowWater keeps a time before which nothing in a queue waits. An update or a delete leaves the row's old entry in PostgreSQL's
// indexes until a vacuum; a queue is worked off from its oldest end, so a query for the next rows would first read past every entry
// since the last vacuum. SQLite keeps no such entries.
type LowWater struct {
	db    *DB
	query string
	args  []any

	looking     chan struct{} // holds one element while a query runs; unlike for a mutex, the wait for it can end with a context
	asked, mark time.Time
}

// LowWater returns the low-water mark of the queue whose oldest waiting time query reads: one row with a time, or none.
func (db *DB) LowWater(query string, args ...any) *LowWater {
	return &LowWater{db: db, query: query, args: args, looking: make(chan struct{}, 1)}
}

// Mark returns a time before which nothing waits. It may be some seconds old, and then overlooks what was committed meanwhile with a
// time before it, so callers look again later. Unavailable when the database does not answer for seconds.
func (w *LowWater) Mark(ctx context.Context, now time.Time) (Time, error) {
	if w.db.engine == SQLite {
		return At(time.Unix(0, 0)), nil
	}
	ctx, cancel := context.WithTimeout(ctx, lowWaterTimeout)
	defer cancel()
	select {
	case w.looking <- struct{}{}:
		defer func() { <-w.looking }()
	case <-ctx.Done():
		return Time{}, classify(ctx.Err())
	}
	if since := now.Sub(w.asked); since >= 0 && since < lowWaterEvery {
		return At(w.mark), nil
	}
	var found struct {
		Oldest Time `db:"oldest"`
		Said   Time `db:"said"`
	}
	began := passed()
	// The query is asked regularly wherever a queue is worked off, and so tells the time without a statement more.
	if err := w.db.Get(ctx, &found, `SELECT (`+w.query+`) AS oldest, clock_timestamp() AS said`, w.args...); err != nil {
		return Time{}, err
	}
	w.db.watch.clock.learn(found.Said.Time, began)
	w.asked, w.mark = now, now.Add(-lowWaterSlack)
	if !found.Oldest.IsZero() && found.Oldest.Before(w.mark) {
		w.mark = found.Oldest.Time
	}
	return At(w.mark), nil
}
