package main

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/testenv"
	"example.com/orderly/workflows"
)

// Two systems in one namespace would work on each other's sagas. The second one ends, whichever way it is started.
func TestANamespaceOfAnotherSystemIsRefused(t *testing.T) {
	t.Parallel()
	server := testenv.Temporal(t, workflows.SearchAttributes())
	namespace := "orderly-test-" + strings.ToLower(rand.Text()[:12])
	first, id := migrated(t, "TEMPORAL_ADDRESS="+server, "TEMPORAL_NAMESPACE="+namespace)
	running := first.start()

	second, other := migrated(t)
	second.env = append(second.env, "TEMPORAL_ADDRESS="+server, "TEMPORAL_NAMESPACE="+namespace)
	for _, args := range [][]string{{"dev", "--data", second.data}, {"serve", "all"}, {"migrate"}} {
		second.serving().requireRefusal(args, "TEMPORAL_NAMESPACE", namespace, "serves system "+id, "system "+other, "orderly adopt")
	}
	second.requireRefusal([]string{"adopt", "--give-up", id}, "nothing was adopted", "polled the task queue", "stop all processes of that system")

	s := first.customer()
	first.requireCompleted(s, first.place(s, "pm_card_visa").ID)
	running.terminate()
	second.env = append(second.env, "TEMPORAL_NAMESPACE="+namespace+"-2")
	running = second.start()
	s = second.customer()
	second.requireCompleted(s, second.place(s, "pm_card_visa").ID)
	running.terminate()
	require.NotEqual(t, id, other)
}
