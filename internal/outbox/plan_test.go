package outbox_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
)

// fill writes published and then waiting events, ten to a subject, without the detour over Append.
func fill(t *testing.T, db *database.DB, published, waiting int) {
	t.Helper()
	for state, n := range map[string]int{"published": published, "waiting": waiting} {
		if db.Engine() == database.SQLite {
			n /= 20 // its plans do not depend on how many there are
		}
		at := "NULL"
		if state == "published" {
			at = "next_attempt_at"
		}
		_, err := db.Exec(t.Context(), fmt.Sprintf(`
			WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < %[1]d)
			INSERT INTO outbox (subject, sequence, event_id, event_type, body, created_at, next_attempt_at, published_at)
			SELECT subject, sequence, 'orders/' || subject || '/' || sequence, 'order.resumed.v1', '{}', next_attempt_at, next_attempt_at, %[2]s
			FROM (SELECT '%[3]s' || (n / 10) AS subject, n %% 10 + 1 AS sequence, CAST(? AS TIMESTAMPTZ) AS next_attempt_at FROM numbers) AS rows
			WHERE %[1]d > 0`, n, at, state), database.At(new(clock).now()))
		require.NoError(t, err)
	}
}

// What a claim reads must not depend on what PostgreSQL believes to know: it gathers statistics now and then, mostly at moments
// when nothing waits, and the claim has to work on the day that everything does.
func TestAClaimReadsLittleWithAnyStatistics(t *testing.T) {
	t.Parallel()
	const waiting, limit = 20_000, 100
	for name, prepare := range map[string]func(t *testing.T, db *database.DB){
		"none": func(t *testing.T, db *database.DB) { fill(t, db, 0, waiting) },
		"from a moment when all was published": func(t *testing.T, db *database.DB) {
			fill(t, db, 10_000, 0)
			analyze(t, db)
			fill(t, db, 0, waiting)
		},
		"from a moment when few waited": func(t *testing.T, db *database.DB) {
			fill(t, db, 10_000, 100)
			analyze(t, db)
			_, err := db.Exec(t.Context(), `DELETE FROM outbox WHERE published_at IS NULL`)
			require.NoError(t, err)
			fill(t, db, 0, waiting)
		},
		"true": func(t *testing.T, db *database.DB) {
			fill(t, db, 10_000, waiting)
			analyze(t, db)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
				db, recorder := testenv.Recorded(t, open("orders", outbox.Migrations()))
				prepare(t, db)
				c := &clock{}
				box := outbox.New(db, "orders", c.now)
				var claimed []outbox.Pending
				ran := recorder.Explain(func() {
					var err error
					claimed, err = box.Claim(t.Context(), limit, lease)
					require.NoError(t, err)
					require.NoError(t, box.MarkPublished(t.Context(), claimed))
				})
				require.Len(t, claimed, limit)
				if db.Engine() == database.PostgreSQL {
					require.Len(t, ran, 3, "low-water mark, claim, mark")
				}
				for _, s := range ran {
					require.Empty(t, s.Plan.Scanned, "%s\n%s", s.Query, s.Plan.Text)
					require.Less(t, s.Plan.Rows, int64(40*limit), "%s\n%s", s.Query, s.Plan.Text)
				}
			})
		})
	}
}

// PostgreSQL keeps the plan that it made for a connection while the table was empty, until statistics are gathered: on the first day,
// or for ever without autovacuum. That plan must suit a full table, too.
func TestAClaimIsPlannedForMoreThanThereIs(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		db, recorder := testenv.Recorded(t, open("orders", outbox.Migrations()))
		box := outbox.New(db, "orders", new(clock).now)
		ran := recorder.Explain(func() { require.Empty(t, claim(t, t.Context(), box)) })
		for _, s := range ran {
			require.Empty(t, s.Plan.Scanned, "%s\n%s", s.Query, s.Plan.Text)
		}
		if db.Engine() == database.PostgreSQL {
			require.Contains(t, ran[len(ran)-1].Plan.Text, "Tid Scan", "%s", ran[len(ran)-1].Plan.Text)
		}
	})
}

// PostgreSQL keeps an entry in its indexes for each event that was published, until a vacuum.
func TestAClaimDoesNotReadPastWhatWasPublished(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		db, recorder := testenv.Recorded(t, open("orders", outbox.Migrations()))
		fill(t, db, 0, 50_000)
		_, err := db.Exec(t.Context(), `UPDATE outbox SET published_at = next_attempt_at`)
		require.NoError(t, err)
		c := &clock{}
		c.advance(time.Minute)
		box := outbox.New(db, "orders", c.now)
		require.Empty(t, claim(t, t.Context(), box)) // finds the low-water mark
		appendOne(t, t.Context(), box, "new")
		for _, s := range recorder.Explain(func() { require.Len(t, claim(t, t.Context(), box), 1) }) {
			require.Less(t, s.Plan.Blocks, int64(60), "%s\n%s", s.Query, s.Plan.Text)
		}
	})
}

// A low-water mark overlooks what is committed below it. That must be found in a while.
func TestAnEventCommittedLateIsClaimed(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box, c := newBox(open)
		require.Empty(t, claim(t, t.Context(), box))
		c.advance(-time.Minute)
		appendOne(t, t.Context(), box, "late")
		c.advance(time.Minute)
		claim(t, t.Context(), box)
		c.advance(lease)
		require.Equal(t, []string{"orders/late/1"}, named(claim(t, t.Context(), box)))
	})
}

func analyze(t *testing.T, db *database.DB) {
	t.Helper()
	_, err := db.Exec(t.Context(), `ANALYZE`)
	require.NoError(t, err)
}
