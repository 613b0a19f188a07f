package listen_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/testenv"
)

// doomedAt names the database in which this process is to handle events until one of them ends it.
const doomedAt = "ORDERLY_TEST_DOOMED_AT"

func TestMain(m *testing.M) {
	if at := os.Getenv(doomedAt); at != "" {
		panic(beDoomed(context.Background(), at))
	}
	os.Exit(m.Run())
}

// beDoomed handles what is in the inbox until the last event of three ends the process, or one called "first" is not there.
func beDoomed(ctx context.Context, at string) error {
	db, err := database.Open(ctx, "shop", at)
	if err != nil {
		return err
	}
	inbox, err := listen.Open(ctx, db.Pool(), string(db.Engine()), []listen.Listener{{
		Subscription: listen.Subscription{Name: "audit"}, Apply: func(ctx context.Context, tx *sqlx.Tx, e events.Event) error {
			if e.ID == "orders/c/3" {
				os.Exit(7)
			}
			return apply("audit")(ctx, tx, e)
		},
	}}, listen.Options{Workers: 1, Poll: 5 * time.Millisecond})
	if err != nil {
		return err
	}
	return inbox.Run(ctx)
}

func TestAProcessThatEndsInABatchLeavesNothingOfIt(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		sound := listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: apply("audit")}
		inbox := w.open(sound)
		// The doomed process begins with events handled one by one; the many that come first leave the other three for a batch.
		var first []listen.Message
		for n := range 32 {
			first = append(first, message(t, fmt.Sprint("first", n), 1))
		}
		require.NoError(t, inbox.Store(t.Context(), "audit", first))
		w.clock.advance(time.Second)
		require.NoError(t, inbox.Store(t.Context(), "audit", three(t)))
		w.endOfTheDoomed()
		require.Len(t, w.applied("audit"), len(first), "the batch was kept in part")
		require.Equal(t, "pending", w.state(inbox, "audit", "orders/a/1").State)
		w.run(inbox)
		w.becomes(inbox, "audit", "orders/b/4", "done")
		w.becomes(inbox, "audit", "orders/c/3", "done")
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(w.applied("audit")))), len(first)+4)
		require.Len(t, w.applied("audit"), len(first)+4)
	})
}

// An event that ends the process would do so again at each start, and what it takes along would never get anywhere.
func TestAProcessThatHasJustStartedHandlesOneByOne(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		inbox := w.open(listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: apply("audit")})
		require.NoError(t, inbox.Store(t.Context(), "audit", three(t)))
		w.endOfTheDoomed()
		require.ElementsMatch(t, []string{"orders/a/1", "orders/b/2"}, w.applied("audit"))
	})
}

// endOfTheDoomed lets another process handle the inbox and returns when it has ended.
func (w *world) endOfTheDoomed() {
	w.t.Helper()
	self, err := os.Executable()
	require.NoError(w.t, err)
	child := exec.CommandContext(w.t.Context(), self)
	child.Env = append(os.Environ(), doomedAt+"="+testenv.URL(w.t, w.db))
	said, err := child.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(w.t, err, &exit)
	require.Equal(w.t, 7, exit.ExitCode(), string(said))
}
