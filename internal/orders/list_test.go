package orders_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/testenv"
)

// listed is one row of a list, put into the database as it is.
type listed struct {
	id    string
	at    time.Time
	state orders.State
}

func (s shop) insert(t require.TestingT, customer string, o listed) {
	s.exec(t, `
		INSERT INTO orders (id, customer_id, state, reason, total_minor, currency, payment_method, created_at, updated_at)
		VALUES (?, ?, ?, ?, 1000, 'EUR', 'pm_card_visa', ?, ?)`,
		o.id, customer, o.state, reasonIn(o.state), database.At(o.at), database.At(o.at))
	s.exec(t, `INSERT INTO order_lines (order_id, line, sku, name, quantity, unit_price_minor) VALUES (?, 1, 'tea', ?, 1, 1000)`, o.id, o.id)
}

// reasonIn is what the table wants of an order in this state.
func reasonIn(state orders.State) string {
	if slices.Contains([]orders.State{orders.Rejected, orders.Cancelled, orders.Reversed}, state) {
		return "reason"
	}
	return ""
}

func TestListShowsAPageWithItsLines(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)
		var placed []orders.Order
		for range 3 {
			order, _, err := s.Place(s.ctx, s.anew(orders.Wanted{SKU: "tea", Quantity: 2}, orders.Wanted{SKU: "mug", Quantity: 1}))
			require.NoError(t, err)
			placed = append([]orders.Order{order}, placed...)
			s.advance(time.Second)
		}
		s.insert(t, "customer-2", listed{uuid.NewString(), opened, orders.Pending})
		require.NoError(t, s.Cancel(s.ctx, s.move(placed[1].ID, "cancel", "cancel_requested")))
		placed[1] = s.get(t, placed[1].ID)

		page, more, err := s.List(s.ctx, orders.Query{CustomerID: customer, Limit: 3})
		require.NoError(t, err)
		require.Equal(t, placed, page)
		require.False(t, more)
		page, more, err = s.List(s.ctx, orders.Query{CustomerID: customer, Limit: 2})
		require.NoError(t, err)
		require.Equal(t, placed[:2], page)
		require.True(t, more)
		page, more, err = s.List(s.ctx, orders.Query{CustomerID: customer, Limit: 2, After: page[1].Position()})
		require.NoError(t, err)
		require.Equal(t, placed[2:], page)
		require.False(t, more)

		for want, q := range map[string]orders.Query{
			"1":     {States: []orders.State{orders.Cancelled}},
			"0 2":   {States: []orders.State{orders.Pending, orders.Confirmed}},
			"0 1":   {From: opened.Add(time.Second)},
			"2":     {Until: opened.Add(time.Second)},
			"1 ":    {From: opened.Add(time.Second), Until: opened.Add(2 * time.Second)},
			"":      {From: opened.Add(3 * time.Second)},
			" ":     {Until: opened},
			"0":     {States: []orders.State{orders.Pending}, From: opened.Add(time.Microsecond)},
			"2  ":   {After: orders.Position{At: opened, ID: "~"}},
			"0 1 2": {After: orders.Position{At: opened.Add(time.Hour)}},
			"    ":  {CustomerID: "customer-3"},
		} {
			if q.CustomerID == "" {
				q.CustomerID = customer
			}
			q.Limit = orders.MaxPage
			page, more, err := s.List(s.ctx, q)
			require.NoError(t, err)
			require.False(t, more)
			var got []string
			for _, order := range page {
				got = append(got, string('0'+rune(slices.IndexFunc(placed, func(o orders.Order) bool { return o.ID == order.ID }))))
			}
			require.Equal(t, strings.TrimSpace(want), strings.Join(got, " "), "%+v", q)
		}
	})
}

// Any orders, several at one time, walked page by page while others are placed, at any time, and states change.
func TestAWalkNeitherRepeatsNorHides(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)
		s.ctx = context.Background() // the test's own ends before rapid has looked for a smaller case
		states := rapid.SampledFrom(orders.States())
		moments := rapid.Custom(func(t *rapid.T) time.Time {
			return opened.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "moment")) * time.Microsecond)
		})
		anOrder := rapid.Custom(func(t *rapid.T) listed {
			return listed{uuid.NewString(), moments.Draw(t, "at"), states.Draw(t, "state")}
		})
		rapid.Check(t, func(t *rapid.T) {
			owner := uuid.NewString()
			all := rapid.SliceOfN(anOrder, 0, 12).Draw(t, "orders")
			for _, o := range all {
				s.insert(t, owner, o)
			}
			q := orders.Query{CustomerID: owner, Limit: rapid.IntRange(1, 4).Draw(t, "limit")}
			q.States = rapid.SliceOfNDistinct(states, 0, 3, rapid.ID[orders.State]).Draw(t, "filter")
			if rapid.Bool().Draw(t, "bounded") {
				q.From, q.Until = moments.Draw(t, "from"), moments.Draw(t, "until")
			}
			wanted := func(o listed) bool {
				return (len(q.States) == 0 || slices.Contains(q.States, o.state)) &&
					(q.From.IsZero() || !o.at.Before(q.From) && o.at.Before(q.Until))
			}
			due := map[string]bool{} // there from the beginning, and wanted all the time
			for _, o := range all {
				due[o.id] = wanted(o)
			}
			seen := map[string]bool{}
			for more, pages := true, 0; more; pages++ {
				require.Less(t, pages, 40)
				page, further, err := s.List(s.ctx, q)
				require.NoError(t, err)
				require.LessOrEqual(t, len(page), q.Limit)
				for _, got := range page {
					i := slices.IndexFunc(all, func(o listed) bool { return o.id == got.ID })
					require.GreaterOrEqual(t, i, 0, "an order of another customer")
					require.True(t, wanted(all[i]), "it is %v", all[i])
					require.Equal(t, all[i].state, got.State)
					require.False(t, seen[got.ID], "an order came twice")
					require.Equal(t, []orders.Line{{SKU: "tea", Name: got.ID, Quantity: 1, UnitPriceMinor: 1000}}, got.Lines)
					seen[got.ID] = true
					if !q.After.At.IsZero() {
						require.True(t, got.CreatedAt.Before(q.After.At) || got.CreatedAt.Equal(q.After.At) && got.ID < q.After.ID, "not in order")
					}
					q.After = got.Position()
				}
				if more = further; more {
					require.Len(t, page, q.Limit)
				}
				if rapid.Bool().Draw(t, "one is placed") && pages < 12 {
					o := anOrder.Draw(t, "new")
					s.insert(t, owner, o)
					all = append(all, o)
				}
				if len(all) > 0 && rapid.Bool().Draw(t, "one changes") {
					i := rapid.IntRange(0, len(all)-1).Draw(t, "which")
					all[i].state = states.Draw(t, "into")
					s.exec(t, `UPDATE orders SET state = ?, reason = ? WHERE id = ?`, all[i].state, reasonIn(all[i].state), all[i].id)
					due[all[i].id] = due[all[i].id] && wanted(all[i])
				}
			}
			for id, is := range due {
				require.False(t, is && !seen[id], "an order was hidden")
			}
		})
	})
}
