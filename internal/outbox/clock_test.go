package outbox_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
)

// Two relays whose clocks are two hours apart publish each event once, and what one of them leaves the other takes up at the lease's end.
func TestRelaysWhoseClocksDifferShareAnOutbox(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)("orders", outbox.Migrations())
	fast, slow := testenv.Apart(t, db)
	for name, on := range map[string][2]*database.DB{"the fast one dies": {fast, slow}, "the slow one dies": {slow, fast}} {
		t.Run(name, func(t *testing.T) {
			first, second := outbox.New(on[0], "orders", nil), outbox.New(on[1], "orders", nil)
			appendOne(t, t.Context(), second, name)
			mine, err := first.Claim(t.Context(), 100, 4*time.Second)
			require.NoError(t, err)
			require.Len(t, mine, 1, "an event that another process wrote waits")
			require.WithinDuration(t, testenv.ServerTime(t, db).Add(4*time.Second), mine[0].LeasedUntil.Time, 2*time.Second)
			require.Empty(t, claim(t, t.Context(), second), "an event is claimed twice")

			var taken []outbox.Pending
			require.Eventually(t, func() bool {
				taken = claim(t, t.Context(), second)
				return len(taken) > 0
			}, 9*time.Second, 20*time.Millisecond, "what was claimed by a process that is gone waits")
			require.NoError(t, second.Failed(t.Context(), taken[0], errors.New("returned"), 100*time.Millisecond))
			require.Eventually(t, func() bool {
				taken = claim(t, t.Context(), first)
				return len(taken) > 0
			}, 5*time.Second, 20*time.Millisecond, "what failed waits for longer than was said")
			require.NoError(t, first.MarkPublished(t.Context(), taken))

			_, oldest, err := second.Backlog(t.Context())
			require.NoError(t, err)
			require.True(t, oldest.IsZero())
			pruned, err := second.Prune(t.Context(), 30*time.Minute, 10)
			require.NoError(t, err)
			require.Zero(t, pruned, "an event was pruned within its window")
		})
	}
}

// Times are in the order of the events of a subject, by whichever processes they were written and published.
func TestTheTimesOfASubjectAreInItsOrder(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)("orders", outbox.Migrations())
	fast, slow := testenv.Apart(t, db)
	boxes := []*outbox.Outbox{outbox.New(fast, "orders", nil), outbox.New(slow, "orders", nil)}
	const events = 40
	for i := range events {
		appendOne(t, t.Context(), boxes[i%2], "a")
	}
	for i := range events {
		taken := claim(t, t.Context(), boxes[i/2%2])
		require.Len(t, taken, 1)
		require.NoError(t, boxes[i/2%2].MarkPublished(t.Context(), taken))
	}
	requireOrder(t, db, `SELECT created_at FROM outbox ORDER BY sequence`, events)
	requireOrder(t, db, `SELECT published_at FROM outbox ORDER BY sequence`, events)
}

func requireOrder(t *testing.T, db *database.DB, query string, count int) {
	t.Helper()
	var times []database.Time
	require.NoError(t, db.Select(t.Context(), &times, query))
	require.Len(t, times, count)
	for i := 1; i < len(times); i++ {
		require.True(t, times[i].After(times[i-1].Time), "%s: number %d is not after the one before it", query, i+1)
	}
}

// The time in the event is the one of its row.
func TestAnEventsTimeIsThatOfItsRow(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box := outbox.New(open("orders", outbox.Migrations()), "orders", nil)
		appendOne(t, t.Context(), box, "a")
		pending := claim(t, t.Context(), box)[0]
		event, err := decoded(pending.Body)
		require.NoError(t, err)
		require.Equal(t, pending.Written.Time, event.Time.UTC())
	})
}

func decoded(body string) (event events.Event, err error) {
	return event, event.UnmarshalJSON([]byte(body))
}
