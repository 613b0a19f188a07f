package workers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/journal"
	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/internal/users"
)

// beginning is when the first of the finished orders was placed; another follows every second.
var beginning = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// regular is the customer of every other finished order.
const regular = "c-regular"

// clock is the SQL for the time of order n.
func clock(engine database.Engine) string {
	if engine == database.SQLite {
		return fmt.Sprintf(`(%d + n * 1000000)`, beginning.UnixMicro())
	}
	return fmt.Sprintf(`(TIMESTAMPTZ '%s' + n * INTERVAL '1 second')`, beginning.Format(time.RFC3339))
}

// history is what finished orders leave behind in each database: one for each of numbers, at the time $at.
var history = map[string][]string{
	"orders": {
		`INSERT INTO orders (id, customer_id, state, total_minor, currency, payment_method, created_at, updated_at, saga_started_at)
		 SELECT 'o-' || n, CASE WHEN n % 2 = 0 THEN '` + regular + `' ELSE 'c-' || n END, 'completed', 1000, 'EUR', 'pm_card_visa', $at, $at, $at
		 FROM numbers`,
		`INSERT INTO order_lines (order_id, line, sku, name, quantity, unit_price_minor) SELECT 'o-' || n, 1, 'tea', 'Tea', 1, 1000 FROM numbers`,
		`INSERT INTO idempotency_keys (customer_id, idempotency_key, fingerprint, order_id, created_at)
		 SELECT 'c-' || n, 'k', 'f', 'o-' || n, $at FROM numbers`,
		steps("confirm", "complete"), published("orders", 3), sequences(3),
	},
	"inventory": {
		`INSERT INTO stock (sku, on_hand, reserved) SELECT 'tea', COUNT(*) + 1000, COUNT(*) FROM numbers`,
		`INSERT INTO reservations (order_id, sku, quantity, state) SELECT 'o-' || n, 'tea', 1, 'held' FROM numbers`,
		`INSERT INTO stock_ledger (entry_key, sku, kind, change, recorded_at) SELECT 'e-' || n, 'tea', 'adjusted', 1, $at FROM numbers`,
		steps("reserve"), published("inventory", 1), sequences(1),
	},
	"payments": {
		`INSERT INTO payments (order_id, state, intent_id, amount_minor, currency, payment_method, captured_minor, created_at, updated_at)
		 SELECT 'o-' || n, 'captured', 'pi-' || n, 1000, 'EUR', 'pm_card_visa', 1000, $at, $at FROM numbers`,
		steps("authorize", "capture"), published("payments", 2), sequences(2),
	},
	"journal": {
		handled("journal", 6),
		`INSERT INTO journal (event_id, source, subject, sequence, event_type, occurred_at, data)
		 SELECT 'orders/o-' || n || '/' || s, 'orders', 'o-' || n, s, 'order.resumed.v1', $at, '{}' FROM numbers, ` + upTo(6),
	},
	"notifications": {
		handled("notifications", 2),
		`INSERT INTO mails (event_id, subject, template, sent_at)
		 SELECT 'orders/o-' || n || '/' || s, 'o-' || n, 'order.completed', $at FROM numbers, ` + upTo(2),
	},
	"users": {
		`INSERT INTO users (id, email, name, version, created_at, updated_at) SELECT 'c-' || n, 'c' || n || '@example.com', 'C', 1, $at, $at FROM numbers`,
		`INSERT INTO sessions (token_hash, user_id, created_at, expires_at)
		 SELECT SUBSTR('` + strings.Repeat("0", 64) + `' || n, LENGTH('' || n) + 1), 'c-' || n, $at, $later FROM numbers`,
		published("users", 1), sequences(1),
	},
}

func upTo(n int) string {
	rows := []string{}
	for s := 1; s <= n; s++ {
		rows = append(rows, fmt.Sprintf("SELECT %d AS s", s))
	}
	return "(" + strings.Join(rows, " UNION ALL ") + ") AS each"
}

func steps(names ...string) string {
	all := []string{}
	for _, name := range names {
		all = append(all, `SELECT 'order-o-' || n || ':`+name+`', 'yes', '"x"', $at FROM numbers`)
	}
	return `INSERT INTO steps (step_key, outcome, result, recorded_at) ` + strings.Join(all, " UNION ALL ")
}

func published(source string, each int) string {
	return `INSERT INTO outbox (subject, sequence, event_id, event_type, body, created_at, next_attempt_at, published_at)
		SELECT 'o-' || n, s, '` + source + `/o-' || n || '/' || s, 'order.resumed.v1', '{}', $at, $at, $at FROM numbers, ` + upTo(each)
}

func sequences(last int) string {
	return fmt.Sprintf(`INSERT INTO outbox_sequences (subject, last) SELECT 'o-' || n, %d FROM numbers`, last)
}

func handled(listener string, each int) string {
	return `INSERT INTO inbox (listener, event_id, source, subject, sequence, event_type, body, state, next_attempt_at, received_at, done_at)
		SELECT '` + listener + `', 'orders/o-' || n || '/' || s, 'orders', 'o-' || n, s, 'order.resumed.v1', '{}', 'done', $at, $at, $at
		FROM numbers, ` + upTo(each)
}

// shop is the databases of a shop that has finished many orders.
type shop struct {
	databases map[string]*database.DB
	recorders map[string]*testenv.Recorder
	days      int
}

func newShop(t *testing.T, open testenv.Open, finished int) *shop {
	t.Helper()
	s := &shop{databases: map[string]*database.DB{}, recorders: map[string]*testenv.Recorder{}}
	for service, sets := range map[string][]database.Migrations{
		"orders": orders.Migrations(), "inventory": inventory.Migrations(), "payments": payments.Migrations(),
		"journal": journal.Migrations(), "notifications": notifications.Migrations(), "users": users.Migrations(),
	} {
		db := open(service, sets...)
		for _, insert := range history[service] {
			insert = strings.NewReplacer("$at", clock(db.Engine()), "$later", strings.Replace(clock(db.Engine()), "n *", "(n + 20000000) *", 1)).Replace(insert)
			_, err := db.Exec(context.Background(), fmt.Sprintf(
				`WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %d) `, finished)+insert)
			require.NoError(t, err, insert)
		}
		s.databases[service], s.recorders[service] = testenv.Recorded(t, db)
		require.NoError(t, db.Close()) // two shops have twelve databases, and a server not so many connections
	}
	return s
}
