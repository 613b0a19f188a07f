package listen_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/testenv"
)

func TestAnInboxTellsWhatItHasNeverReceived(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		listener := listen.Listener{Subscription: listen.Subscription{Name: "audit", Types: []string{"order.resumed.v1"}}, Apply: apply("audit")}
		other := listen.Listener{Subscription: listen.Subscription{Name: "other"}, Apply: apply("other")}
		inbox := w.open(listener, other)
		list := messages(t, "a", 6)
		require.NoError(t, inbox.Store(ctx, "audit", list[:4]))
		require.NoError(t, inbox.Store(ctx, "other", list))
		for id, state := range map[string]string{"orders/a/1": "done", "orders/a/2": "dead"} {
			_, err := w.db.Exec(ctx, fmt.Sprintf(`UPDATE inbox SET state = '%s', reason = 'r', done_at = %s WHERE event_id = '%s'`,
				state, map[string]string{"done": "received_at", "dead": "NULL"}[state], id))
			require.NoError(t, err)
		}
		var asked []listen.Message
		for _, m := range list {
			asked = append(asked, listen.Message{ID: m.ID, Type: m.Type})
		}
		asked = append(asked, listen.Message{ID: "orders/b/1", Type: "order.parked.v1"})
		unknown, err := inbox.Unknown(ctx, "audit", asked)
		require.NoError(t, err)
		require.Equal(t, []string{"orders/a/5", "orders/a/6"}, unknown, "done, dead and pending are known, and orders/b/1 is not wanted")
		unknown, err = inbox.Unknown(ctx, "audit", nil)
		require.NoError(t, err)
		require.Empty(t, unknown)
		_, err = inbox.Unknown(ctx, "nobody", asked)
		require.ErrorContains(t, err, `no listener "nobody"`)
	})
}

// What comes late is applied, as long as nothing earlier of its subject waits, and does not disturb what comes after it.
func TestAnEventThatComesAfterALaterOneIsAppliedAndTold(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		inbox := w.open(listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: apply("audit")})
		w.run(inbox)
		list := messages(t, "a", 5)
		require.NoError(t, inbox.Store(ctx, "audit", []listen.Message{list[0], list[2]}))
		w.becomes(inbox, "audit", "orders/a/3", "done")
		w.becomes(inbox, "audit", "orders/a/1", "done")

		late := append(list, message(t, "b", 1), listen.Message{Body: []byte("{")})
		overtaken, err := inbox.Overtaken(ctx, "audit", late)
		require.NoError(t, err)
		require.Equal(t, []string{"orders/a/2"}, overtaken, "1 and 3 are known, nothing after 4 is done")
		require.NoError(t, inbox.Store(ctx, "audit", list))
		for _, m := range list {
			w.becomes(inbox, "audit", m.ID, "done")
		}
		require.Equal(t, []string{"orders/a/1", "orders/a/3", "orders/a/2", "orders/a/4", "orders/a/5"}, w.applied("audit"))
		overtaken, err = inbox.Overtaken(ctx, "audit", late)
		require.NoError(t, err)
		require.Empty(t, overtaken)
	})
}

func TestARollCallReadsNoMoreThanItAsksAbout(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		fill(t, w.db, "audit", "done", 40_000, w.clock.now())
		db, recorder := testenv.Recorded(t, w.db)
		inbox, err := listen.Open(t.Context(), db.Pool(), string(db.Engine()), []listen.Listener{{
			Subscription: listen.Subscription{Name: "audit"}, Apply: apply("audit"),
		}}, listen.Options{Now: w.clock.now})
		require.NoError(t, err)
		var asked []listen.Message
		for n := range 500 {
			asked = append(asked, listen.Message{ID: fmt.Sprintf("orders/done%d/%d", n/10, n%10+1)})
		}
		for _, statistics := range []string{"none", "true"} {
			ran := recorder.Explain(func() {
				unknown, err := inbox.Unknown(t.Context(), "audit", asked)
				require.NoError(t, err)
				require.Empty(t, unknown)
				_, err = inbox.Overtaken(t.Context(), "audit", eventsOf(t, "new", 100))
				require.NoError(t, err)
			})
			require.Len(t, ran, 3)
			for _, s := range ran {
				require.NotContains(t, s.Plan.Scanned, "inbox", "%s\n%s", s.Query, s.Plan.Text)
				require.Less(t, s.Plan.Rows, int64(25_000), "%s\n%s", s.Query, s.Plan.Text)
			}
			require.LessOrEqual(t, ran[0].Plan.Rows, int64(1500), "%s: %s", statistics, ran[0].Plan.Text)
			analyze(t, w.db)
		}
	})
}

func eventsOf(t *testing.T, subject string, n int) []listen.Message {
	t.Helper()
	var list []listen.Message
	for i := range n {
		event, err := events.New("orders", fmt.Sprint(subject, i), 1, time.Unix(0, 0), events.OrderResumed{OrderID: "o"})
		require.NoError(t, err)
		m, err := listen.Encode(event)
		require.NoError(t, err)
		list = append(list, m)
	}
	return list
}
