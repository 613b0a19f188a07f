package listen_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/testenv"
)

func TestAMessageThatCannotBeReadIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		inbox := w.open(listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: apply("audit")})
		sound := message(t, "a", 1)
		envelope := func(more string) []byte {
			return []byte(`{"specversion":"1.0","id":"orders/x/1","source":"orders","subject":"x","sequence":"1",` + more + `}`)
		}
		bad := []listen.Message{
			{ID: sound.ID, Type: sound.Type, Body: []byte(`{"cut off`)},
			{ID: "bytes", Body: []byte("\xff\x00\xfe")},
			{ID: "marked", Body: []byte("base64:!")},
			{ID: "no sequence", Body: []byte(`{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"x"}`)},
			{ID: "unknown", Body: envelope(`"type":"order.teleported.v9","data":{}`)},
			{ID: "other data", Body: []byte(`{"specversion":"1.0","id":"orders/y/1","source":"orders","subject":"y","sequence":"1",` +
				`"type":"order.resumed.v1","data":{"order_id":7}}`)},
		}
		for range 2 {
			require.NoError(t, inbox.Store(ctx, "audit", append(bad, sound)))
		}
		dead, err := inbox.Dead(ctx, "audit", 100)
		require.NoError(t, err)
		require.Len(t, dead, len(bad))
		for _, entry := range dead {
			require.NotEmpty(t, entry.Reason)
			require.ErrorContains(t, inbox.Replay(ctx, "audit", entry.EventID), "still not usable")
			shown, err := inbox.Show(ctx, "audit", entry.EventID)
			require.NoError(t, err)
			var bodies [][]byte
			for _, m := range bad {
				bodies = append(bodies, m.Body)
			}
			require.Contains(t, bodies, shown.Body)
		}
		require.Equal(t, "pending", w.state(inbox, "audit", sound.ID).State, "a damaged copy took the place of the sound event")
	})
}

func TestADeadEventHoldsBackLaterOnesUnlessUnordered(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		fatal := true
		give := func(name string) func(context.Context, *sqlx.Tx, events.Event) error {
			return func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
				if e.Sequence == 1 && fatal {
					return listen.Permanent(errors.New("the customer is gone"))
				}
				return apply(name)(ctx, tx, e)
			}
		}
		inbox := w.open(
			listen.Listener{Subscription: listen.Subscription{Name: "ordered"}, Apply: give("ordered")},
			listen.Listener{Subscription: listen.Subscription{Name: "unordered"}, Unordered: true, Apply: give("unordered")},
		)
		stop := w.run(inbox)
		for _, name := range []string{"ordered", "unordered"} {
			require.NoError(t, inbox.Store(ctx, name, append(messages(t, "a", 2), messages(t, "b", 2)...)))
			w.becomes(inbox, name, "orders/a/1", "dead")
			w.becomes(inbox, name, "orders/b/1", "dead")
		}
		w.eventually(func() bool { return len(w.applied("unordered")) == 2 }, "the unordered listener to go on")
		stop()
		require.Empty(t, w.applied("ordered"), "an event passed a dead one")
		require.Equal(t, 1, w.state(inbox, "ordered", "orders/a/1").Attempts, "a permanent failure was tried again")
		stats, err := inbox.Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, []int64{2, 2}, []int64{stats[0].Pending, stats[0].Dead})
		require.Equal(t, []int64{0, 2}, []int64{stats[1].Pending, stats[1].Dead})
		require.Equal(t, w.clock.now(), stats[0].Oldest)

		fatal = false
		require.NoError(t, inbox.Replay(ctx, "ordered", "orders/a/1"))
		require.NoError(t, inbox.Drop(ctx, "ordered", "orders/b/1"))
		require.ErrorIs(t, inbox.Drop(ctx, "ordered", "orders/b/1"), listen.ErrNotFound)
		require.ErrorIs(t, inbox.Replay(ctx, "ordered", "orders/b/2"), listen.ErrNotFound)
		w.run(inbox)
		w.becomes(inbox, "ordered", "orders/a/2", "done")
		w.becomes(inbox, "ordered", "orders/b/2", "done")
		require.ElementsMatch(t, []string{"orders/a/1", "orders/a/2", "orders/b/2"}, w.applied("ordered"))
		require.Equal(t, "dropped: the customer is gone", w.state(inbox, "ordered", "orders/b/1").Reason)
	})
}

func TestAnEventOfATypeNotWantedIsNotKept(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		inbox := w.open(listen.Listener{Subscription: listen.Subscription{Name: "audit", Types: []string{"order.parked.v1"}}, Apply: apply("audit")})
		require.NoError(t, inbox.Store(t.Context(), "audit", messages(t, "a", 1)))
		_, err := inbox.Show(t.Context(), "audit", "orders/a/1")
		require.ErrorIs(t, err, listen.ErrNotFound)
		require.ErrorContains(t, inbox.Store(t.Context(), "mail", messages(t, "a", 1)), `no listener "mail"`)
	})
}

func TestPruneRemovesWhatIsDoneAndOld(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		inbox := w.open(listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: apply("audit")})
		require.NoError(t, inbox.Store(t.Context(), "audit", append(messages(t, "a", 3), listen.Message{Body: []byte("?")})))
		stop := w.run(inbox)
		w.becomes(inbox, "audit", "orders/a/3", "done")
		stop()
		pruned, err := inbox.Prune(t.Context(), w.clock.now(), 10)
		require.NoError(t, err)
		require.Zero(t, pruned)
		w.clock.advance(time.Hour)
		pruned, err = inbox.Prune(t.Context(), w.clock.now(), 2)
		require.NoError(t, err)
		require.EqualValues(t, 2, pruned)
		dead, err := inbox.Dead(t.Context(), "audit", 10)
		require.NoError(t, err)
		require.Len(t, dead, 1, "a dead event was pruned")
	})
}

func TestOpenRefusesAWrongListener(t *testing.T) {
	t.Parallel()
	pool, err := listen.OpenSQLite(filepath.Join(t.TempDir(), "inbox.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	sound := listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: apply("audit")}
	for want, listeners := range map[string][]listen.Listener{
		`two listeners are called "audit"`:  {sound, sound},
		`listener "Audit Log": a name is`:   {{Subscription: listen.Subscription{Name: "Audit Log"}, Apply: sound.Apply}},
		`listener "idle" has nothing to do`: {{Subscription: listen.Subscription{Name: "idle"}}},
		`listener "rash": a wait of the schedule`: {{
			Subscription: listen.Subscription{Name: "rash"}, Schedule: []time.Duration{time.Second, -1}, Apply: sound.Apply,
		}},
		`listener "torn" sets both Apply and Effect`: {{
			Subscription: listen.Subscription{Name: "torn"}, Apply: sound.Apply,
			Effect: func(context.Context, events.Event) (listen.Record, error) { return nil, nil },
		}},
	} {
		_, err := listen.Open(t.Context(), pool, listen.SQLite, listeners, listen.Options{})
		require.ErrorContains(t, err, want)
	}
	one, err := listen.Open(t.Context(), pool, listen.SQLite, []listen.Listener{sound}, listen.Options{})
	require.NoError(t, err)
	require.NoError(t, one.Migrate(t.Context()))
	require.NoError(t, one.Migrate(t.Context()))
	require.ErrorContains(t, listen.Unique(one, one), `two listeners are called "audit"`)
	_, err = listen.Open(t.Context(), pool, "mysql", nil, listen.Options{})
	require.ErrorContains(t, err, `no inbox on engine "mysql"`)
}

func TestMigrateMakesTheListenersOwnTables(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		pool, engine, err := listen.OpenURL(testenv.URL(t, open("shop")))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, pool.Close()) })
		inbox, err := listen.Open(t.Context(), pool, engine, []listen.Listener{
			{Subscription: listen.Subscription{Name: "audit"}, Apply: apply("audit")},
		}, listen.Options{})
		require.NoError(t, err)
		files := fstest.MapFS{"00001_points.sql": {Data: []byte("-- +goose Up\nCREATE TABLE points (total BIGINT NOT NULL);\n")}}
		for _, set := range []string{"", "inbox", "Shop", "x; DROP TABLE inbox"} {
			require.ErrorContains(t, inbox.Migrate(t.Context(), listen.Tables{Set: set, Files: files}), "a set's name is")
		}
		for range 2 {
			require.NoError(t, inbox.Migrate(t.Context(), listen.Tables{Set: "points", Files: files}))
		}
		files["00002_level.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nALTER TABLE points ADD COLUMN level TEXT;\n")}
		require.NoError(t, inbox.Migrate(t.Context(), listen.Tables{Set: "points", Files: files}))
		_, err = pool.ExecContext(t.Context(), `INSERT INTO points (total, level) VALUES (1, 'gold')`)
		require.NoError(t, err)
		require.NoError(t, inbox.Store(t.Context(), "audit", messages(t, "a", 1)))
	})
}

func TestOpenPostgresTellsEachConnectionTheSession(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		db := open("shop")
		if db.Engine() == database.SQLite {
			t.Skip("SQLite has no such settings")
		}
		pool, err := listen.OpenPostgres(testenv.URL(t, db))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, pool.Close()) })
		for range 3 {
			conn, err := pool.Conn(t.Context()) // the ones before are still in use, so this is a new one
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, conn.Close()) })
			var scans, idle string
			require.NoError(t, conn.QueryRowContext(t.Context(),
				`SELECT current_setting('enable_seqscan'), current_setting('idle_in_transaction_session_timeout')`).Scan(&scans, &idle))
			require.Equal(t, []string{"off", "1min"}, []string{scans, idle})
		}
	})
}

func TestOpenURLSaysWhatIsWrongAndNoPassword(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]string{
		"mysql://shop:secret@localhost/shop":         "must start with postgres:// or sqlite:",
		"postgres://shop:secret@localhost:port/shop": "the URL cannot be read",
		"sqlite:" + t.TempDir():                      "open /",
	} {
		_, _, err := listen.OpenURL(at)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestOpenRefusesASQLitePoolThatWritesTimesAsText(t *testing.T) {
	t.Parallel()
	pool, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "plain.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	_, err = listen.Open(t.Context(), pool, listen.SQLite, nil, listen.Options{})
	require.ErrorContains(t, err, "_time_integer_format")
}

func TestAnInboxForAdminsReplaysAndDoesNotRun(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		var healed atomic.Bool
		inbox := w.open(listen.Listener{
			Subscription: listen.Subscription{Name: "audit", Types: []string{"order.resumed.v1"}},
			Apply: func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
				if !healed.Load() {
					return listen.Permanent(errors.New("not yet"))
				}
				return apply("audit")(ctx, tx, e)
			},
		})
		require.NoError(t, inbox.Store(t.Context(), "audit", messages(t, "a", 1)))
		w.run(inbox)
		w.becomes(inbox, "audit", "orders/a/1", "dead")
		healed.Store(true)

		admin, err := listen.OpenForAdmin(t.Context(), w.db.Pool(), string(w.db.Engine()), inbox.Subscriptions(),
			listen.Options{Now: w.clock.now})
		require.NoError(t, err)
		require.ErrorContains(t, admin.Run(t.Context()), "without its listeners' handlers")
		require.NoError(t, admin.Replay(t.Context(), "audit", "orders/a/1"))
		w.becomes(inbox, "audit", "orders/a/1", "done")
	})
}
