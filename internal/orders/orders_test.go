package orders_test

import (
	"context"
	"encoding/json"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
)

const customer = "customer-1"

var opened = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// shop is the orders service on a database of its own, with a price list and a clock that moves when told to.
type shop struct {
	*orders.Service
	ctx     context.Context
	db      *database.DB
	box     *outbox.Outbox
	metrics *prometheus.Registry
	elapsed *atomic.Int64
	keys    *atomic.Int64
}

func openShop(t *testing.T, open testenv.Open) shop {
	t.Helper()
	s := shop{ctx: t.Context(), metrics: prometheus.NewRegistry(), elapsed: &atomic.Int64{}, keys: &atomic.Int64{}}
	s.db = open("orders", orders.Migrations()...)
	s.box = outbox.New(s.db, "orders", func() time.Time { return opened.Add(time.Duration(s.elapsed.Load())) })
	s.Service = orders.New(s.box, s.metrics)
	require.NoError(t, s.AddProducts(s.ctx, []orders.Product{
		{SKU: "tea", Name: "Green tea", PriceMinor: 10_00, Currency: "EUR"},
		{SKU: "mug", Name: "Mug", PriceMinor: 10_00, Currency: "EUR"},
		{SKU: "pot", Name: "Tea pot", PriceMinor: 10_00, Currency: "EUR"},
		{SKU: "gum", Name: "Chewing gum", PriceMinor: 3, Currency: "USD"},
		{SKU: "isle", Name: "Island", PriceMinor: orders.MaxMinor, Currency: "EUR"},
	}))
	return s
}

func (s shop) advance(d time.Duration) { s.elapsed.Add(int64(d)) }

// anew is the request of a customer who never asked before.
func (s shop) anew(lines ...orders.Wanted) orders.Placement {
	if lines == nil {
		lines = []orders.Wanted{{SKU: "tea", Quantity: 1}}
	}
	return orders.Placement{
		CustomerID: customer, IdempotencyKey: s.key("request"), PaymentMethod: "pm_card_visa", Lines: lines,
	}
}

func (s shop) key(prefix string) string { return prefix + "-" + strconv.FormatInt(s.keys.Add(1), 10) }

func (s shop) place(t *testing.T) orders.Order {
	t.Helper()
	order, repeated, err := s.Place(s.ctx, s.anew())
	require.NoError(t, err)
	require.False(t, repeated)
	return order
}

func (s shop) get(t *testing.T, id string) orders.Order {
	t.Helper()
	order, err := s.Get(s.ctx, id)
	require.NoError(t, err)
	return order
}

// exec changes the database behind the service's back.
func (s shop) exec(t require.TestingT, query string, args ...any) {
	_, err := s.db.Exec(s.ctx, query, args...)
	require.NoError(t, err)
}

// announced returns the events about an order, which must be numbered 1, 2, 3 without a gap.
func (s shop) announced(t require.TestingT, orderID string) []events.Event {
	var bodies []string
	require.NoError(t, s.db.Select(s.ctx, &bodies, `SELECT body FROM outbox WHERE subject = ? ORDER BY sequence`, orderID))
	all := make([]events.Event, len(bodies))
	for i, body := range bodies {
		require.NoError(t, json.Unmarshal([]byte(body), &all[i]))
		require.EqualValues(t, i+1, all[i].Sequence, "sequence of %s", all[i].Type)
	}
	return all
}

func (s shop) announcedTypes(t require.TestingT, orderID string) []string {
	types := []string{}
	for _, event := range s.announced(t, orderID) {
		types = append(types, event.Type)
	}
	return types
}

// requireLast checks that the order has exactly count events and that the last one says payload.
func requireLast[P events.Payload](t *testing.T, s shop, orderID string, count int, payload P) {
	t.Helper()
	all := s.announced(t, orderID)
	require.Len(t, all, count)
	got, err := events.As[P](all[count-1])
	require.NoError(t, err)
	require.Equal(t, payload, got)
}

// rows counts the rows of every table of the database.
func (s shop) rows(t *testing.T) map[string]int64 {
	t.Helper()
	list := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`
	if s.db.Engine() == database.PostgreSQL {
		list = `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`
	}
	var tables []string
	require.NoError(t, s.db.Select(s.ctx, &tables, list))
	counts := map[string]int64{}
	for _, table := range tables {
		var count int64
		require.NoError(t, s.db.Get(s.ctx, &count, `SELECT COUNT(*) FROM `+table))
		counts[table] = count
	}
	require.Contains(t, counts, "idempotency_keys")
	return counts
}

// ended reads the counter of ends, by "state reason".
func (s shop) ended(t require.TestingT) map[string]int {
	families, err := s.metrics.Gather()
	require.NoError(t, err)
	counts := map[string]int{}
	for _, family := range families {
		require.Equal(t, "orderly_orders_ended_total", family.GetName())
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, pair := range metric.GetLabel() {
				labels[pair.GetName()] = pair.GetValue()
			}
			counts[labels["state"]+" "+labels["reason"]] += int(metric.GetCounter().GetValue())
		}
	}
	return counts
}

func requireFault(t require.TestingT, err error, kind fault.Kind, code string) {
	require.Error(t, err)
	require.Equal(t, string(kind)+" "+code, string(fault.KindOf(err))+" "+fault.CodeOf(err), err.Error())
}
