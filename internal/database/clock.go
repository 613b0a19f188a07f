package database

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// askAgainAfter is how long one answer of the server is used. A server whose clock is set is followed after it.
	askAgainAfter = 10 * time.Second
	// askTimeout bounds the question for the time.
	askTimeout = 2 * time.Second
	// sleptFor is how far this process's own clock may leave the passing of time before the last answer is no longer believed: the clock was set,
	// or the machine slept, and what measures the passing of time may have slept, too.
	sleptFor = time.Second
)

// askTime asks PostgreSQL for microseconds since 1970: the time itself, as text, would depend on the session's settings.
const askTime = `SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`

// clock is the clock of a database's server: its latest answer, and what has passed since. So a wrong clock of this process, and one that is set
// while it runs, change nothing.
type clock struct {
	own   atomic.Pointer[func() time.Time] // this process's own clock; nil for time.Now
	last  atomic.Pointer[answer]
	asked atomic.Int64  // when the server was last asked, as passed
	due   atomic.Bool   // the last answer was used when it was old
	turn  chan struct{} // holds one element while the server is asked
}

// answer is what the server said.
type answer struct {
	said  time.Time
	at    time.Duration // when, as passed
	doubt time.Duration // how far said may be off: half of what the question took
	own   time.Time     // this process's own clock then
}

func newClock() *clock { return &clock{turn: make(chan struct{}, 1)} }

var started = time.Now()

// passed is how much time has passed since the process started, also when its clock is set.
func passed() time.Duration { return time.Since(started) }

// wall is this process's own clock, without what measures the passing of time.
func (c *clock) wall() time.Time {
	if own := c.own.Load(); own != nil {
		return (*own)().Round(0)
	}
	return time.Now().Round(0)
}

// sure reports that the server was asked, and that time has passed evenly since.
func (c *clock) sure() bool {
	last := c.last.Load()
	return last != nil && c.even(last)
}

func (c *clock) even(last *answer) bool {
	return (c.wall().Sub(last.own) - (passed() - last.at)).Abs() < sleptFor
}

// now is the server's time as far as it is known, and this process's own before the first answer.
func (c *clock) now() time.Time {
	last := c.last.Load()
	if last == nil {
		return c.wall()
	}
	if c.old() || !c.even(last) {
		c.due.Store(true)
	}
	return last.said.Add(passed() - last.at)
}

func (c *clock) old() bool { return passed()-time.Duration(c.asked.Load()) > askAgainAfter }

// learn takes what the server said to a question that was asked at began, as passed. An answer that took long is left where a better one says
// nothing else.
func (c *clock) learn(said time.Time, began time.Duration) {
	ended := passed()
	heard := &answer{said: said, at: (began + ended) / 2, doubt: (ended - began) / 2, own: c.wall().Add(-(ended - began) / 2)}
	c.asked.Store(int64(ended))
	c.due.Store(false)
	if last := c.last.Load(); last != nil && c.even(last) {
		since := heard.at - last.at
		doubt := last.doubt + since/1000 // clocks that are being corrected run that much faster or slower
		apart := heard.said.Sub(last.said.Add(since)).Abs()
		if doubt < heard.doubt && apart <= doubt+heard.doubt {
			return
		}
	}
	c.last.Store(heard)
}

// learnFrom runs statements that end with askTime on a new connection, and learns from the answer. They need no round trip of their own then.
func (c *clock) learnFrom(ctx context.Context, conn *pgx.Conn, statements string) error {
	began := passed()
	results, err := conn.PgConn().Exec(ctx, statements).ReadAll()
	if err != nil {
		return err
	}
	var micros int64
	for _, result := range results {
		for _, row := range result.Rows {
			if err := conn.TypeMap().Scan(result.FieldDescriptions[0].DataTypeOID, result.FieldDescriptions[0].Format, row[0], &micros); err != nil {
				return err
			}
		}
	}
	c.learn(time.UnixMicro(micros).UTC(), began)
	return nil
}

// Now is the time by the clock of the database's server, from its latest answer and what has passed since; on SQLite by this machine's. It asks
// nothing and may be called in a transaction. Before the server has answered once, it is by this process's own clock: see Time.
func (db *DB) Now() time.Time {
	if db.engine == SQLite {
		return db.watch.clock.wall()
	}
	return db.watch.clock.now()
}

// Time is Now, and asks the server first where its time is not known or was asked for long ago. Not for use in a transaction. Unavailable when
// the time is not known and the server does not answer.
func (db *DB) Time(ctx context.Context) (time.Time, error) {
	c := db.watch.clock
	if db.engine == PostgreSQL && (!c.sure() || c.old()) {
		if err := db.ask(ctx); err != nil && !c.sure() {
			return time.Time{}, classify(err)
		}
	}
	return db.Now(), nil
}

// renew asks the server again before a statement when Now has found that its last answer is old. An error shows in the statement, too.
func (db *DB) renew(ctx context.Context) {
	if db.engine == PostgreSQL && db.watch.clock.due.CompareAndSwap(true, false) {
		_ = db.ask(ctx)
	}
}

// ask asks the server for its time. Of several callers one asks.
func (db *DB) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	c := db.watch.clock
	before := c.asked.Load()
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.asked.Load() != before && c.sure() { // another caller's answer
		return nil
	}
	db.statements.Add(1)
	began := passed()
	var micros int64
	if err := db.read.GetContext(ctx, &micros, askTime); err != nil {
		c.asked.Store(int64(passed()))
		return err
	}
	c.learn(time.UnixMicro(micros).UTC(), began)
	return nil
}

// Ahead is how far this process's own clock is ahead of the server's, negative when it is behind; 0 before the server has answered, and on SQLite.
func (db *DB) Ahead() time.Duration {
	if db.engine == SQLite || db.watch.clock.last.Load() == nil {
		return 0
	}
	return db.watch.clock.wall().Sub(db.watch.clock.now())
}

// Moment is the SQL for the time at which a statement changes a row, and the argument for its placeholder. On PostgreSQL the server takes it
// there and then, so that of two changes that wait for each other the later one has the later time, by whichever processes they are made. now, where it is
// not nil, says it instead.
func (db *DB) Moment(now func() time.Time) (expression string, arg Time) {
	if now != nil {
		arg = At(now())
	} else if db.engine == SQLite {
		arg = At(db.Now())
	}
	if db.engine == SQLite {
		return `?`, arg
	}
	return `COALESCE(CAST(? AS TIMESTAMPTZ), clock_timestamp())`, arg
}

// SetOwnClock has the DB take now for this process's own clock. It is for tests of clocks that differ.
func (db *DB) SetOwnClock(now func() time.Time) { db.watch.clock.own.Store(&now) }
