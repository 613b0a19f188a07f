package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An operator finds an event a listener gave up on, and has it handled again, or gives up on it, beside the running system.
func TestDeadEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	s := w.customer()
	first, second := w.place(s, "pm_card_visa"), w.place(s, "pm_card_visa")
	w.requireCompleted(s, first.ID)
	w.requireCompleted(s, second.ID)
	events := func(args ...string) (string, int) {
		p := w.launch(append([]string{"events", "dead"}, args...)...)
		p.wait(time.Minute)
		return p.printed(), p.cmd.ProcessState.ExitCode()
	}
	w.env = append(w.env, "ORDERLY_DATA="+w.data)

	// As if the journal had given up on the last event of each order.
	ids := []string{fmt.Sprintf("orders/%s/3", first.ID), fmt.Sprintf("orders/%s/3", second.ID)}
	for _, id := range ids {
		w.exec("journal", `DELETE FROM journal WHERE event_id = ?`, id)
		w.exec("journal", `UPDATE inbox SET state = 'dead', done_at = NULL, reason = 'disk full' WHERE event_id = ?`, id)
	}
	listed, code := events("list")
	require.Zero(t, code, listed)
	for _, id := range ids {
		require.Contains(t, listed, id)
	}
	require.Contains(t, listed, "disk full")
	shown, code := events("show", "journal", ids[0])
	require.Zero(t, code, shown)
	require.Contains(t, shown, `"order.completed.v1"`)

	said, code := events("replay", "journal", ids[0])
	require.Zero(t, code, said)
	w.requireCompleted(s, first.ID)
	said, code = events("drop", "journal", ids[1])
	require.Zero(t, code, said)
	listed, code = events("list")
	require.Zero(t, code, listed)
	require.NotContains(t, listed, "disk full")

	said, code = events("drop", "journal", ids[1])
	require.Equal(t, 1, code, said)
	said, code = events("replay", "nobody", ids[1])
	require.Equal(t, 1, code)
	require.Contains(t, said, "notifications or journal")
}
