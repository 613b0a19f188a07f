package listen_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/testenv"
)

// fill writes events of the listener, ten to a subject, without the detour over Store.
func fill(t *testing.T, db *database.DB, listener, state string, events int, at time.Time) {
	t.Helper()
	if db.Engine() == database.SQLite {
		events /= 20 // its plans do not depend on how many there are
	}
	done := "NULL"
	if state == "done" {
		done = "at"
	}
	_, err := db.Exec(t.Context(), fmt.Sprintf(`
		WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < %d)
		INSERT INTO inbox (listener, event_id, source, subject, sequence, event_type, body, state, next_attempt_at, received_at, done_at)
		SELECT '%s', 'orders/' || subject || '/' || sequence, 'orders', subject, sequence, 'order.resumed.v1',
		    '{"specversion":"1.0","id":"orders/' || subject || '/' || sequence || '","source":"orders","subject":"' || subject ||
		    '","sequence":"' || sequence || '","type":"order.resumed.v1","data":{}}', '%s', at, at, %s
		FROM (SELECT '%[3]s' || (n / 10) AS subject, n %% 10 + 1 AS sequence, CAST(? AS TIMESTAMPTZ) AS at FROM numbers) AS rows`,
		events, listener, state, done), database.At(at))
	require.NoError(t, err)
}

// What taking events from the inbox reads must not depend on the statistics of PostgreSQL: it gathers them now and then,
// mostly at moments when nothing waits.
func TestTakingEventsReadsLittleWithAnyStatistics(t *testing.T) {
	t.Parallel()
	const most = 32
	for name, prepare := range map[string]func(t *testing.T, w *world){
		"none": func(t *testing.T, w *world) { fill(t, w.db, "audit", "pending", 20_000, w.clock.now()) },
		"from a moment when all was done": func(t *testing.T, w *world) {
			fill(t, w.db, "audit", "done", 10_000, w.clock.now())
			analyze(t, w.db)
			fill(t, w.db, "audit", "pending", 20_000, w.clock.now())
		},
		"from a moment when few waited": func(t *testing.T, w *world) {
			fill(t, w.db, "audit", "done", 10_000, w.clock.now())
			fill(t, w.db, "audit", "pending", 100, w.clock.now())
			analyze(t, w.db)
			_, err := w.db.Exec(t.Context(), `DELETE FROM inbox WHERE state = 'pending'`)
			require.NoError(t, err)
			fill(t, w.db, "audit", "pending", 20_000, w.clock.now())
		},
		"true": func(t *testing.T, w *world) {
			fill(t, w.db, "audit", "done", 10_000, w.clock.now())
			fill(t, w.db, "audit", "pending", 20_000, w.clock.now())
			analyze(t, w.db)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachEngine(t, func(t *testing.T, w *world) {
				prepare(t, w)
				db, recorder := testenv.Recorded(t, w.db)
				ctx, stop := context.WithCancel(t.Context())
				handled := 0
				inbox, err := listen.Open(ctx, db.Pool(), string(db.Engine()), []listen.Listener{{
					Subscription: listen.Subscription{Name: "audit"}, Apply: func(context.Context, *sqlx.Tx, events.Event) error {
						if handled++; handled == 2*most { // first one by one, then together
							stop()
						}
						return nil
					},
				}}, listen.Options{Now: w.clock.now, Log: w.log, Workers: 1})
				require.NoError(t, err)
				ran := recorder.Explain(func() { require.NoError(t, inbox.Run(ctx)) })
				require.Equal(t, 2*most, handled)
				if db.Engine() == database.PostgreSQL {
					require.Len(t, ran, 2+3*most+3, "low-water mark; claim; mark each; take a batch")
				}
				for _, s := range ran {
					require.Empty(t, s.Plan.Scanned, "%s\n%s", s.Query, s.Plan.Text)
					require.Less(t, s.Plan.Rows, int64(40*most), "%s\n%s", s.Query, s.Plan.Text)
				}
			})
		})
	}
}

// PostgreSQL keeps an entry in its indexes for each event that is done, until a vacuum; and the plan that it made for a connection
// while the table was empty, until statistics are gathered.
func TestTakingEventsDoesNotReadPastWhatIsDone(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		fill(t, w.db, "audit", "pending", 50_000, w.clock.now())
		_, err := w.db.Exec(t.Context(), `UPDATE inbox SET state = 'done', done_at = next_attempt_at`)
		require.NoError(t, err)
		w.clock.advance(time.Minute)
		db, recorder := testenv.Recorded(t, w.db)
		ctx, stop := context.WithCancel(t.Context())
		handled := 0
		inbox, err := listen.Open(ctx, db.Pool(), string(db.Engine()), []listen.Listener{{
			Subscription: listen.Subscription{Name: "audit"}, Apply: func(context.Context, *sqlx.Tx, events.Event) error {
				if handled++; handled == 2 {
					stop()
				}
				return nil
			},
		}}, listen.Options{Now: w.clock.now, Log: w.log, Workers: 1})
		require.NoError(t, err)
		require.NoError(t, inbox.Store(ctx, "audit", []listen.Message{message(t, "a", 1)}))
		ran := recorder.Explain(func() {
			ended := make(chan error, 1)
			go func() { ended <- inbox.Run(ctx) }()
			w.becomes(inbox, "audit", "orders/a/1", "done")
			require.NoError(t, inbox.Store(context.WithoutCancel(ctx), "audit", []listen.Message{message(t, "b", 1)}))
			require.NoError(t, <-ended)
		})
		takes := 0
		for _, s := range ran {
			if strings.Contains(s.Query, "BETWEEN") {
				takes++
				require.Less(t, s.Plan.Blocks, int64(60), "%s\n%s", s.Query, s.Plan.Text)
			}
		}
		require.GreaterOrEqual(t, takes, 2, "one by one, and together")
	})
}

func analyze(t *testing.T, db *database.DB) {
	t.Helper()
	_, err := db.Exec(t.Context(), `ANALYZE`)
	require.NoError(t, err)
}
