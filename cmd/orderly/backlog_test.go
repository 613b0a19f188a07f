package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/outbox"
)

var backlogEvents = flag.Int("events", 1000, "how many events TestBacklog leaves in an outbox while the broker is away")

// The broker is away while an outbox fills up. Then three relays drain it together: every event arrives, those of a subject in order, and
// no process ever holds more than a few batches.
func TestBacklog(t *testing.T) {
	t.Parallel()
	const perSubject = 10
	parts := newRealParts(t)
	broker, at := behind(t, parts.broker)
	d := newDeploymentOn(t, parts, "RABBITMQ_URL="+at)
	orders, journal := parts.open(t, "orders"), parts.open(t, "journal")
	d.start("listeners")
	var relays []*process
	for range 3 {
		d.health["orders"] = "127.0.0.1:" + freePorts(t, 1)[0]
		d.start("orders")
		relays = append(relays, d.running["orders"])
	}
	broker.cut()

	box := outbox.New(orders, "orders", time.Now)
	for first := 0; first < *backlogEvents; first += 1000 {
		require.NoError(t, orders.InTx(t.Context(), func(tx *database.Tx) error {
			for n := first; n < min(first+1000, *backlogEvents); n++ {
				subject := fmt.Sprintf("s-%d", n%(*backlogEvents/perSubject))
				if err := box.Append(t.Context(), tx, subject, events.OrderResumed{OrderID: subject}); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	waiting, _, err := box.Backlog(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, *backlogEvents, waiting)

	broker.mend()
	began := time.Now()
	var done int
	require.Eventually(t, func() bool {
		require.NoError(t, journal.Get(t.Context(), &done, `SELECT COUNT(*) FROM inbox WHERE state = 'done'`))
		return done == *backlogEvents
	}, 10*time.Minute, 100*time.Millisecond, "the backlog is not drained")
	waiting, _, err = box.Backlog(t.Context())
	require.NoError(t, err)
	t.Logf("%d events drained by three relays and handled by the journal in %s; %d marks left", done, time.Since(began).Round(100*time.Millisecond), waiting)

	var disorder int
	require.NoError(t, journal.Get(t.Context(), &disorder, `
		SELECT COUNT(*) FROM inbox AS next JOIN inbox AS earlier
		    ON earlier.subject = next.subject AND earlier.source = next.source AND earlier.sequence = next.sequence - 1
		WHERE next.received_at < earlier.received_at OR next.done_at < earlier.done_at`))
	require.Zero(t, disorder, "events of a subject arrived or were handled out of order")
	for _, relay := range relays {
		peak := peakMemory(t, relay.cmd.Process.Pid)
		t.Logf("a relay's process took %d MiB at most", peak>>20)
		require.Less(t, peak, int64(200<<20))
	}
	for _, relay := range relays {
		d.running["orders"] = relay
		d.stop("orders")
	}
	d.stop("listeners")
}

// peakMemory is the most memory the process ever had, where the system tells; else 0.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if size, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(size)[0], 10, 64)
			require.NoError(t, err)
			return kib << 10
		}
	}
	return 0
}
