package outbox_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
)

var periods = outbox.Periods{Every: 30 * time.Second, Settle: time.Minute, Patience: 2 * time.Minute, Kept: 72 * time.Hour}

// publish appends an event about each subject and marks it published.
func publish(t *testing.T, box *outbox.Outbox, subjects ...string) {
	t.Helper()
	for _, subject := range subjects {
		appendOne(t, t.Context(), box, subject)
		require.NoError(t, box.MarkPublished(t.Context(), claim(t, t.Context(), box)))
	}
}

func due(t *testing.T, rolls *outbox.RollCalls, listener string) (outbox.RollCall, bool) {
	t.Helper()
	call, due, err := rolls.Due(t.Context(), listener)
	require.NoError(t, err)
	return call, due
}

func claimCall(t *testing.T, rolls *outbox.RollCalls, call outbox.RollCall) bool {
	t.Helper()
	claimed, err := rolls.Claim(t.Context(), &call)
	require.NoError(t, err)
	return claimed
}

func confirm(t *testing.T, rolls *outbox.RollCalls, call outbox.RollCall) bool {
	t.Helper()
	confirmed, err := rolls.Confirm(t.Context(), call.Listener, call.Until)
	require.NoError(t, err)
	return confirmed
}

func asked(call outbox.RollCall) []string {
	ids := []string{}
	for _, event := range call.Events {
		ids = append(ids, event.ID)
	}
	return ids
}

func TestAListenerIsAskedAboutEachEventUntilItHasAnswered(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box, c := newBox(open)
		rolls := outbox.NewRollCalls(box, periods)
		publish(t, box, "before")
		c.advance(time.Second)
		_, is := due(t, rolls, "journal")
		require.False(t, is)
		c.advance(time.Second)
		publish(t, box, "a", "b")
		appendOne(t, t.Context(), box, "waiting")

		c.advance(periods.Settle - time.Microsecond)
		_, is = due(t, rolls, "journal")
		require.False(t, is, "asked about an event whose mark may have a neighbour that is not committed yet")
		c.advance(time.Microsecond)
		call, is := due(t, rolls, "journal")
		require.True(t, is)
		require.Equal(t, []string{"orders/a/1", "orders/b/1"}, asked(call))
		require.True(t, claimCall(t, rolls, call))
		publish(t, box, "c")
		c.advance(periods.Patience - time.Microsecond)
		_, is = due(t, rolls, "journal")
		require.False(t, is, "called again before the answer could come")
		c.advance(time.Microsecond)
		again, is := due(t, rolls, "journal")
		require.True(t, is, "a call that was lost is never repeated")
		require.Equal(t, []string{asked(call)[0], asked(call)[1]}, asked(again), "another window: an answer to the first call would be for nothing")
		require.Equal(t, call.Until, again.Until)
		require.True(t, claimCall(t, rolls, again))

		require.True(t, confirm(t, rolls, call))
		require.False(t, confirm(t, rolls, again), "confirmed twice")
		next, is := due(t, rolls, "journal")
		require.True(t, is)
		require.Subset(t, asked(next), []string{"orders/c/1"})
		require.NotContains(t, asked(next), "orders/a/1")
	})
}

func TestOfSeveralRelaysOneCalls(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box, c := newBox(open)
		rolls := outbox.NewRollCalls(box, periods)
		due(t, rolls, "journal")
		c.advance(time.Second)
		publish(t, box, "a")
		c.advance(time.Hour / 2)
		for round := range 2 {
			var calls []outbox.RollCall
			for range 4 {
				call, is := due(t, rolls, "journal")
				require.True(t, is)
				calls = append(calls, call)
			}
			var won atomic.Int64
			var all sync.WaitGroup
			for _, call := range calls {
				all.Go(func() {
					claimed, err := rolls.Claim(t.Context(), &call)
					if err != nil {
						t.Error(err)
					}
					if claimed {
						won.Add(1)
					}
				})
			}
			all.Wait()
			require.EqualValues(t, 1, won.Load(), "round %d", round)
			c.advance(periods.Patience)
		}
	})
}

// An answer that is old, such as one from before a backup was restored, must not confirm what no listener was asked about.
func TestAnAnswerToAnotherWindowConfirmsNothing(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box, c := newBox(open)
		rolls := outbox.NewRollCalls(box, periods)
		due(t, rolls, "journal")
		c.advance(time.Second)
		publish(t, box, "a")
		c.advance(2 * time.Minute)
		first, _ := due(t, rolls, "journal")
		require.False(t, confirm(t, rolls, first), "it was not called")
		require.True(t, claimCall(t, rolls, first))
		require.True(t, confirm(t, rolls, first))
		publish(t, box, "b")
		c.advance(2 * time.Minute)
		second, _ := due(t, rolls, "journal")
		require.Equal(t, []string{"orders/b/1"}, asked(second))
		require.True(t, claimCall(t, rolls, second))
		require.False(t, confirm(t, rolls, first))
		waits, err := rolls.Waits(t.Context(), "journal", first.Until)
		require.NoError(t, err)
		require.False(t, waits)
		waits, err = rolls.Waits(t.Context(), "journal", second.Until)
		require.NoError(t, err)
		require.True(t, waits)
	})
}

func TestACallThatCouldNotBeMadeIsDueAgainSoon(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box, c := newBox(open)
		rolls := outbox.NewRollCalls(box, periods)
		due(t, rolls, "journal")
		c.advance(time.Second)
		publish(t, box, "a")
		for _, giveBack := range []func(call *outbox.RollCall) error{
			func(call *outbox.RollCall) error { return rolls.GiveBack(t.Context(), call) },
			func(call *outbox.RollCall) error { return rolls.CallAgain(t.Context(), "journal", call.Until) },
		} {
			c.advance(periods.Settle)
			call, is := due(t, rolls, "journal")
			require.True(t, is)
			claimed, err := rolls.Claim(t.Context(), &call)
			require.NoError(t, err)
			require.True(t, claimed)
			require.NoError(t, giveBack(&call))
			_, is = due(t, rolls, "journal")
			require.False(t, is)
			c.advance(periods.Every)
			_, is = due(t, rolls, "journal")
			require.True(t, is)
		}
	})
}

// However much there is to ask about, a call is about some hundreds, and what was marked at one moment stays together.
func TestCallsComeInPages(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box, c := newBox(open)
		rolls := outbox.NewRollCalls(box, periods)
		due(t, rolls, "journal")
		for range 7 { // seven batches of 199
			c.advance(time.Second)
			for n := range 199 {
				appendOne(t, t.Context(), box, fmt.Sprint("s", n))
			}
			for batch := range 2 {
				claimed := claim(t, t.Context(), box)
				require.Len(t, claimed, []int{100, 99}[batch])
				require.NoError(t, box.MarkPublished(t.Context(), claimed))
			}
		}
		_, err := box.DB().Exec(t.Context(), `
			INSERT INTO outbox (subject, sequence, event_id, event_type, body, created_at, next_attempt_at, published_at)
			SELECT subject, sequence + 1000, event_id || '000', event_type, body, created_at, next_attempt_at, ? FROM outbox`, database.At(c.now().Add(time.Second)))
		require.NoError(t, err)
		c.advance(10 * time.Minute)
		seen := map[string]bool{}
		for _, want := range []int{398, 398, 398, 199, 1393} {
			call, is := due(t, rolls, "journal")
			require.True(t, is)
			require.Len(t, call.Events, want)
			for _, id := range asked(call) {
				require.False(t, seen[id], "asked about %s twice", id)
				seen[id] = true
			}
			require.True(t, claimCall(t, rolls, call))
			require.True(t, confirm(t, rolls, call))
		}
		require.Len(t, seen, 2*7*199)
		_, is := due(t, rolls, "journal")
		require.False(t, is)
	})
}

// An inbox forgets what it has handled, later than the outbox does. What is older than the outbox should keep must not be sent again, though
// it may be there still.
func TestWhatIsKeptNoLongerIsNotAskedAboutAndNotSent(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box, c := newBox(open)
		rolls := outbox.NewRollCalls(box, periods)
		began := c.now()
		due(t, rolls, "journal")
		c.advance(time.Second)
		publish(t, box, "old")
		c.advance(2 * time.Minute)
		call, _ := due(t, rolls, "journal")
		require.True(t, call.Unasked.IsZero())
		require.True(t, claimCall(t, rolls, call))
		c.advance(periods.Kept)
		publish(t, box, "new")
		c.advance(2 * time.Minute)
		lacking, err := rolls.Published(t.Context(), []string{"orders/new/1", "orders/old/1", "orders/never/1"})
		require.NoError(t, err)
		require.Equal(t, []string{"orders/new/1"}, named(lacking))
		call, is := due(t, rolls, "journal")
		require.True(t, is)
		require.Equal(t, []string{"orders/new/1"}, asked(call))
		require.Equal(t, began, call.Unasked)
	})
}

func TestWhatAListenerLacksComesInTheOrderOfItsSubject(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box, c := newBox(open)
		rolls := outbox.NewRollCalls(box, periods)
		var ids, want []string
		for sequence := range 12 {
			publish(t, box, "a")
			c.advance(time.Second)
			ids = append([]string{fmt.Sprintf("orders/a/%d", sequence+1)}, ids...)
			want = append(want, fmt.Sprintf("orders/a/%d", sequence+1))
		}
		appendOne(t, t.Context(), box, "a") // not published: the relay's
		lacking, err := rolls.Published(t.Context(), append(ids, "orders/a/13"))
		require.NoError(t, err)
		require.Equal(t, want, named(lacking))
	})
}

// A roll call reads little, with or without statistics: two rows of state and a page when there is something, and hardly anything when not.
func TestARollCallReadsLittle(t *testing.T) {
	t.Parallel()
	for _, statistics := range []string{"none", "true"} {
		t.Run(statistics, func(t *testing.T) {
			t.Parallel()
			testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
				db, recorder := testenv.Recorded(t, open("orders", outbox.Migrations()))
				fill(t, db, 40_000, 1000)
				spread := `UPDATE outbox SET published_at = published_at + sequence * INTERVAL '1 millisecond' + CAST(substr(subject, 10) AS BIGINT) * INTERVAL '1 second' WHERE published_at IS NOT NULL`
				if db.Engine() == database.SQLite {
					spread = `UPDATE outbox SET published_at = published_at + sequence * 1000 + CAST(substr(subject, 10) AS BIGINT) * 1000000 WHERE published_at IS NOT NULL`
				}
				_, err := db.Exec(t.Context(), spread)
				require.NoError(t, err)
				if statistics == "true" {
					analyze(t, db)
				}
				c := &clock{}
				rolls := outbox.NewRollCalls(outbox.New(db, "orders", c.now), periods)
				due(t, rolls, "journal")
				c.advance(time.Hour / 2)
				for _, s := range recorder.Explain(func() {
					call, is := due(t, rolls, "journal")
					require.True(t, is)
					require.True(t, claimCall(t, rolls, call))
					require.True(t, confirm(t, rolls, call))
					lacking, err := rolls.Published(t.Context(), asked(call)[:5])
					require.NoError(t, err)
					require.Len(t, lacking, 5)
				}) {
					require.NotContains(t, s.Plan.Scanned, "outbox", "%s\n%s", s.Query, s.Plan.Text)
					require.LessOrEqual(t, s.Plan.Rows, int64(501), "%s\n%s", s.Query, s.Plan.Text)
				}
				c.advance(100 * time.Hour)
				_, err = db.Exec(t.Context(), `UPDATE outbox_roll_calls SET confirmed_until = ?, next_call_at = ?`, database.At(c.now().Add(-time.Minute*30)), database.At(c.now()))
				require.NoError(t, err)
				ran := recorder.Explain(func() { _, is := due(t, rolls, "journal"); require.False(t, is) })
				if db.Engine() == database.PostgreSQL {
					require.Len(t, ran, 2, "an idle outbox costs two reads")
				}
				for _, s := range ran {
					require.NotContains(t, s.Plan.Scanned, "outbox", "%s\n%s", s.Query, s.Plan.Text)
					require.LessOrEqual(t, s.Plan.Rows, int64(1), "%s\n%s", s.Query, s.Plan.Text)
				}
			})
		})
	}
}
