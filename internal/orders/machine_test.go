package orders_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/testenv"
)

// model is what one order must look like, kept beside it in plain variables.
type model struct {
	state     orders.State
	reason    string
	attention orders.Attention
	calledOff bool
	announced []string
	ended     map[string]int
	// recorded holds, for each key of a step that was decided, whether it was a yes.
	recorded map[string]bool
	// used lists the keys each verb was ever tried with.
	used map[string][]string
}

// try says how the service must answer, and moves the model on.
func (m *model) try(v verb, key string) (fault.Kind, string) {
	yes, decided := m.recorded[key]
	switch {
	case decided && yes:
		return "", ""
	case decided, m.state == v.from && v.to == orders.Confirmed && m.calledOff:
		m.recorded[key] = false
		return fault.Declined, orders.CodeCancelRequested
	case m.state != v.from:
		return fault.Conflict, "order_state"
	}
	m.recorded[key] = true
	m.state, m.reason = v.to, v.reason
	m.announced = append(m.announced, "order."+string(v.to)+".v1")
	if v.to != orders.Confirmed {
		m.attention = orders.NoAttention
		m.ended[string(v.to)+" "+v.reason]++
	}
	return "", ""
}

func (m *model) open() bool { return m.state == orders.Pending || m.state == orders.Confirmed }

func (m *model) flag(attention orders.Attention) {
	switch {
	case !m.open() || attention == m.attention:
		return
	case attention == orders.Parked:
		m.announced = append(m.announced, "order.parked.v1")
	case m.attention == orders.Parked:
		m.announced = append(m.announced, "order.resumed.v1")
	}
	m.attention = attention
}

// Any interleaving of the five changes, of flags and of cancellations, under fresh and repeated keys: the order follows the
// table of ends, says each change once, and never leaves an end.
func TestOrderFollowsTheTableOfEnds(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		shared := openShop(t, open)
		rapid.Check(t, func(t *rapid.T) {
			s := shared
			s.metrics = prometheus.NewRegistry()
			s.Service = orders.New(s.box, s.metrics)
			order, _, err := s.Place(s.ctx, s.anew())
			require.NoError(t, err)
			m := &model{
				state: orders.Pending, announced: []string{"order.created.v1"},
				ended: map[string]int{}, recorded: map[string]bool{}, used: map[string][]string{},
			}
			var end orders.State

			actions := map[string]func(*rapid.T){
				"call off": func(t *rapid.T) {
					s.exec(t, callOff, order.ID)
					m.calledOff = m.calledOff || m.state == orders.Pending
				},
				"call on": func(t *rapid.T) {
					s.exec(t, callOn, order.ID)
					m.calledOff = false
				},
				"flag": func(t *rapid.T) {
					f := orders.Flag{OrderID: order.ID, Attention: rapid.SampledFrom([]orders.Attention{
						orders.NoAttention, orders.Stalled, orders.Parked,
					}).Draw(t, "attention")}
					if f.Attention != orders.NoAttention {
						f.Step, f.Reason = "step", "down"
					}
					require.NoError(t, s.Flag(s.ctx, f))
					m.flag(f.Attention)
				},
				"": func(t *rapid.T) {
					stored, err := s.Get(s.ctx, order.ID)
					require.NoError(t, err)
					require.Equal(t, m.state, stored.State)
					require.Equal(t, m.reason, stored.Reason)
					require.Equal(t, m.attention, stored.Attention)
					require.Equal(t, m.announced, s.announcedTypes(t, order.ID))
					require.Equal(t, m.ended, s.ended(t))
					if end != "" {
						require.Equal(t, end, stored.State, "an end was left")
					}
					if stored.State.Ended() {
						end = stored.State
					}
				},
			}
			for _, v := range s.verbs() {
				actions[v.name] = func(t *rapid.T) {
					move := s.move(order.ID, v.name, v.reason)
					if used := m.used[v.name]; len(used) > 0 && rapid.Bool().Draw(t, "repeat a key") {
						move.Key = rapid.SampledFrom(used).Draw(t, "key")
					} else {
						m.used[v.name] = append(used, move.Key)
					}
					kind, code := m.try(v, move.Key)
					err := v.run(s.ctx, move)
					if code == "" {
						require.NoError(t, err)
						return
					}
					requireFault(t, err, kind, code)
				}
			}
			t.Repeat(actions)
		})
	})
}
