package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/demo"
)

// The binary is killed with -9 at four points of one order, with its children and alone, and where steps are inline. Started again, it brings that order to
// its end, charged once, with every event once.
func TestKill(t *testing.T) {
	t.Parallel()
	// Each returns what holds the system at its point until it is killed.
	nothing := func() {}
	for name, until := range map[string]func(w *world, s *demo.Client) (orderID string, letGo func()){
		"after the 202": func(w *world, s *demo.Client) (string, func()) {
			return w.place(s, "pm_card_visa").ID, nothing
		},
		"in reserve": func(w *world, s *demo.Client) (string, func()) {
			unlock := w.lock("inventory")
			w.t.Cleanup(unlock)
			order := w.place(s, "pm_card_visa")
			eventually(w.t, 30*time.Second, "the saga has not asked for the stock", func() bool {
				return w.running(order.ID, "inventory.reserve")
			})
			return order.ID, unlock
		},
		"after the provider took the money": func(w *world, s *demo.Client) (string, func()) {
			hold := w.hold("capture", "after")
			order := w.place(s, "pm_card_visa")
			eventually(w.t, 30*time.Second, "nothing was captured", func() bool { return w.held(hold) })
			return order.ID, nothing
		},
		"after confirm": func(w *world, s *demo.Client) (string, func()) {
			hold := w.hold("capture", "before")
			order := w.place(s, "pm_card_visa")
			eventually(w.t, 30*time.Second, "the order was not confirmed", func() bool {
				seen, err := s.Order(w.t.Context(), order.ID)
				return err == nil && seen.State == "confirmed" && w.held(hold)
			})
			return order.ID, nothing
		},
	} {
		for kind, how := range map[string]struct {
			withChildren bool
			flags        []string
		}{"with its children": {withChildren: true}, "alone": {}, "inline": {flags: []string{"--inline"}}} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.flags = how.flags
				p := w.start()
				s := w.customer()
				stock, err := s.Available(t.Context())
				require.NoError(t, err)
				orderID, letGo := until(w, s)
				p.kill(how.withChildren)
				letGo()

				p = w.start()
				began := time.Now()
				w.requireCompleted(s, orderID)
				t.Logf("ended %s after the system was ready again", time.Since(began).Round(time.Millisecond))
				left, err := s.Available(t.Context())
				require.NoError(t, err)
				require.Equal(t, stock["MUG-BLUE"]-2, left["MUG-BLUE"])
				p.terminate()
			})
		}
	}
}

// An attempt that is frozen after the provider did its work and before its answer was recorded: the attempt that takes over finds
// the money, and the late one changes nothing when it thaws.
func TestFrozenAttempt(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"confirm", "capture"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.start()
			s := w.customer()
			hold := w.hold(call, "after")
			order := w.place(s, "pm_card_visa")
			eventually(t, 30*time.Second, "nothing is frozen", func() bool { return w.held(hold) })
			w.requireCompleted(s, order.ID)
			w.release(hold)
			p.terminate() // waits for the late attempt
			w.start()
			w.requireCompleted(s, order.ID)
		})
	}
}
