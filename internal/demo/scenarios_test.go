package demo

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The events of a step that was added do not make a scenario wrong; a missing or misplaced one does.
func TestTheEventsOfAScenario(t *testing.T) {
	t.Parallel()
	want := []string{"order.created.v1", "order.confirmed.v1", "order.completed.v1"}
	require.True(t, inOrder(want, want))
	require.True(t, inOrder(want, []string{"order.created.v1", "fraud.scored.v1", "order.confirmed.v1", "order.completed.v1"}))
	require.False(t, inOrder(want, want[:2]))
	require.False(t, inOrder(want, []string{"order.created.v1", "order.completed.v1", "order.confirmed.v1"}))
}
