package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/node"
	"example.com/orderly/internal/testenv"
)

// Every role on a pooler in transaction mode: each order is taken and completed, and its events arrive. What makes and migrates the databases goes
// past the pooler.
func TestOrdersThroughAPooler(t *testing.T) {
	t.Parallel()
	parts := newRealParts(t)
	pooled := "DATABASE_URL=" + testenv.ThroughPooler(t, parts.database)
	direct := "DIRECT_DATABASE_URL=" + parts.database

	w := newWorld(t)
	w.env = append(append(w.env, parts.env()...), pooled)
	w.requireRefusal([]string{"migrate"}, "DATABASE_URL leads to a pooler", "DIRECT_DATABASE_URL")
	w.env = append(w.env, direct)
	said, code := w.command("migrate")
	require.Zero(t, code, said)
	require.Contains(t, said, "The payments database is up to date (past the pooler: DIRECT_DATABASE_URL).")

	d := newDeploymentOn(t, parts, pooled, direct)
	d.startAll()
	s := d.customer()
	var placed []string
	for range 50 {
		placed = append(placed, d.place(s, "pm_card_visa").ID)
	}
	for _, id := range placed {
		eventually(t, 3*time.Minute, "an order does not complete", func() bool {
			order, err := s.Order(t.Context(), id)
			return err == nil && order.State == "completed"
		})
	}
	d.requireCompleted(s, placed[len(placed)-1])
	d.stop(append(node.AllRoles().Names(), "sandbox")...)
}
