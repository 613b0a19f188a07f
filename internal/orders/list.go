package orders

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/orderly/internal/database"
)

// MaxPage is the most orders that List returns at once.
const MaxPage = 100

// Query asks for orders of one customer.
type Query struct {
	CustomerID string
	// States are those that the orders may be in; empty for all.
	States []State
	// From and Until say when the orders were placed: at From or later, and before Until. Zero where there is no such bound.
	From, Until time.Time
	// After is where the last order of the page before stands; zero for the first page.
	After Position
	// Limit is 1 to MaxPage.
	Limit int
}

// Position is where an order stands in a list, and never changes: newest first, those of one microsecond by their id.
type Position struct {
	At time.Time
	ID string
}

// Position is where the order stands in a list.
func (o Order) Position() Position { return Position{o.CreatedAt, o.ID} }

// List returns the orders of one page, with their lines, newest first, and whether more follow. A page shows how the orders stood at one moment.
//
// Over the pages of one walk: none is returned twice. One that was there before the walk began and stays in the states asked for is returned.
// One placed meanwhile is returned if it stands behind the page that is read: by its time, which is its process's, it is older.
func (s *Service) List(ctx context.Context, q Query) (page []Order, more bool, err error) {
	states := q.States
	if len(states) == 0 {
		states = States()
	}
	before := Position{At: endOfTime}
	if !q.Until.IsZero() {
		before.At = q.Until
	}
	if !q.After.At.IsZero() && !q.After.At.After(before.At) {
		before = q.After
	}
	// Each state is read by itself, so that the index has each of them in the order of the list: "my open orders" costs the same however many
	// have ended. State and limit come from sub-selects, so that PostgreSQL does not know them when it plans: it would take an index of what is
	// open in the whole shop.
	each := make([]string, len(states))
	args := make([]any, 0, 6*len(states)+1)
	for i, state := range states {
		each[i] = fmt.Sprintf(`SELECT * FROM (
			SELECT `+orderColumns+` FROM orders
			WHERE customer_id = ? AND state = (SELECT CAST(? AS TEXT)) AND created_at >= ? AND (created_at, id) < (?, ?)
			ORDER BY created_at DESC, id DESC LIMIT (SELECT CAST(? AS BIGINT))) AS of_state_%d`, i)
		args = append(args, q.CustomerID, state, database.At(laterOf(q.From, beginningOfTime)), database.At(before.At), before.ID, q.Limit+1)
	}
	var rows []orderRow
	if err := s.db.Select(ctx, &rows, `SELECT * FROM (`+strings.Join(each, ` UNION ALL `)+`) AS of_all
		ORDER BY created_at DESC, id DESC LIMIT (SELECT CAST(? AS BIGINT))`, append(args, q.Limit+1)...); err != nil {
		return nil, false, fmt.Errorf("list the orders of customer %s: %w", q.CustomerID, err)
	}
	if more = len(rows) > q.Limit; more {
		rows = rows[:q.Limit]
	}
	page = make([]Order, len(rows))
	for i, row := range rows {
		page[i] = row.order()
	}
	return page, more, s.addLines(ctx, page)
}

// The bounds of a list without bounds. A zero time is NULL to the database.
var (
	beginningOfTime = time.Unix(0, 0)
	endOfTime       = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
)

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// addLines reads the lines of all of these orders.
func (s *Service) addLines(ctx context.Context, page []Order) error {
	if len(page) == 0 {
		return nil
	}
	ids := make([]string, len(page))
	for i, order := range page {
		ids[i] = order.ID
	}
	among, arg := s.db.Among(`order_id`, ids)
	var rows []struct {
		OrderID string `db:"order_id"`
		Line
	}
	if err := s.db.Select(ctx, &rows, `
		SELECT order_id, sku, name, quantity, unit_price_minor FROM order_lines WHERE `+among+` ORDER BY order_id, line`, arg); err != nil {
		return fmt.Errorf("read the lines of %d orders (%s, ...): %w", len(ids), ids[0], err)
	}
	for _, row := range rows {
		i := slices.Index(ids, row.OrderID)
		page[i].Lines = append(page[i].Lines, row.Line)
	}
	return nil
}
