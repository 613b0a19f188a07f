package inventory_test

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
)

type quantity = inventory.Quantity

// store is the inventory service on a database of its own.
type store struct {
	*inventory.Service
	ctx  context.Context
	db   *database.DB
	keys *atomic.Int64
}

func openStore(t *testing.T, open testenv.Open, stock ...quantity) store {
	t.Helper()
	db := open("inventory", inventory.Migrations()...)
	s := store{
		Service: inventory.New(outbox.New(db, "inventory", time.Now)),
		ctx:     t.Context(), db: db, keys: &atomic.Int64{},
	}
	require.NoError(t, s.AddStock(s.ctx, stock))
	return s
}

func (s store) key(prefix string) string { return prefix + "-" + strconv.FormatInt(s.keys.Add(1), 10) }

// reservation asks for lines in the name of a new order.
func (s store) reservation(lines ...quantity) inventory.Reservation {
	order := s.key("order")
	return inventory.Reservation{Key: order + ":reserve", OrderID: order, Lines: lines}
}

// undo is the release the saga of r would ask for.
func undo(r inventory.Reservation) inventory.Release {
	return inventory.Release{Key: r.OrderID + ":release", Undoes: r.Key, OrderID: r.OrderID}
}

func (s store) adjust(t *testing.T, sku string, change int64) {
	t.Helper()
	_, err := s.Adjust(s.ctx, inventory.Adjustment{Key: s.key("adjust"), SKU: sku, Change: change, Note: "counted"})
	require.NoError(t, err)
}

// account is what the tables say of one SKU: its counts, and what its ledger and its reservations add up to.
type account struct {
	SKU      string `db:"sku"`
	OnHand   int64  `db:"on_hand"`
	Reserved int64  `db:"reserved"`
	Entered  int64  `db:"entered"`
	Held     int64  `db:"held"`
}

// accounts reads the SKUs that begin with prefix in one statement, hence at one moment.
func (s store) accounts(ctx context.Context, prefix string) ([]account, error) {
	var all []account
	err := s.db.Select(ctx, &all, `
		SELECT sku, on_hand, reserved,
		       CAST((SELECT COALESCE(SUM(change), 0) FROM stock_ledger l WHERE l.sku = s.sku) AS BIGINT) AS entered,
		       CAST((SELECT COALESCE(SUM(quantity), 0) FROM reservations r WHERE r.sku = s.sku AND r.state = 'held') AS BIGINT) AS held
		FROM stock s WHERE sku LIKE ? ORDER BY sku`, prefix+"%")
	return all, err
}

// reserved proves the books and returns what is reserved of each SKU of which anything is.
func (s store) reserved(t require.TestingT) map[string]int64 {
	all, err := s.accounts(s.ctx, "")
	require.NoError(t, err)
	reserved := map[string]int64{}
	for _, a := range all {
		requireProved(t, a)
		if a.Reserved != 0 {
			reserved[a.SKU] = a.Reserved
		}
	}
	return reserved
}

func requireProved(t require.TestingT, a account) {
	require.Equal(t, a.Entered, a.OnHand, "%s on hand is not the sum of its changes", a.SKU)
	require.Equal(t, a.Held, a.Reserved, "%s reserved is not the sum of what is held", a.SKU)
	require.GreaterOrEqual(t, a.Reserved, int64(0), a.SKU)
	require.GreaterOrEqual(t, a.OnHand, a.Reserved, a.SKU)
}

// announced returns the events about a subject, which must be numbered 1, 2, 3 without a gap.
func (s store) announced(t require.TestingT, subject string) []events.Event {
	var bodies []string
	require.NoError(t, s.db.Select(s.ctx, &bodies, `SELECT body FROM outbox WHERE subject = ? ORDER BY sequence`, subject))
	all := make([]events.Event, len(bodies))
	for i, body := range bodies {
		require.NoError(t, json.Unmarshal([]byte(body), &all[i]))
		require.EqualValues(t, i+1, all[i].Sequence, "sequence of %s", all[i].Type)
	}
	return all
}

func (s store) announcedTypes(t require.TestingT, subject string) []string {
	var types []string
	for _, event := range s.announced(t, subject) {
		types = append(types, event.Type)
	}
	return types
}

// allAnnounced returns the types of the events about each subject that begins with prefix.
func (s store) allAnnounced(t require.TestingT, prefix string) map[string][]string {
	var rows []struct {
		Subject  string `db:"subject"`
		Sequence int64  `db:"sequence"`
		Type     string `db:"event_type"`
	}
	require.NoError(t, s.db.Select(s.ctx, &rows, `
		SELECT subject, sequence, event_type FROM outbox WHERE subject LIKE ? ORDER BY subject, sequence`, prefix+"%"))
	types := map[string][]string{}
	for _, row := range rows {
		types[row.Subject] = append(types[row.Subject], row.Type)
		require.EqualValues(t, len(types[row.Subject]), row.Sequence, "sequence of %s about %s", row.Type, row.Subject)
	}
	return types
}

// requireEvent checks what the n-th event about a subject says, counted from 1.
func requireEvent[P events.Payload](t *testing.T, s store, subject string, n int, payload P) {
	t.Helper()
	all := s.announced(t, subject)
	require.GreaterOrEqual(t, len(all), n)
	got, err := events.As[P](all[n-1])
	require.NoError(t, err)
	require.Equal(t, payload, got)
}

func requireFault(t require.TestingT, err error, kind fault.Kind, code string) {
	require.Error(t, err)
	require.Equal(t, string(kind)+" "+code, string(fault.KindOf(err))+" "+fault.CodeOf(err), err.Error())
}

// atOnce runs all the work at the same moment and waits for it; each is told its place.
func atOnce(work ...func(i int)) {
	start := make(chan struct{})
	var all sync.WaitGroup
	for i, do := range work {
		all.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	all.Wait()
}
