package workers_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/testenv"
)

var growth = flag.Int("growth", 10_000, "how many finished orders TestFinishedOrdersCostNothing compares with 1,000")

// growing are the tables that get longer with every order.
var growing = []string{
	"orders", "order_lines", "idempotency_keys", "steps", "outbox", "outbox_sequences", "reservations", "stock_ledger", "payments",
	"inbox", "journal", "mails", "users", "sessions",
}

// What a shop does all day must not cost more the longer it has been open: rows read are compared, with no statistics in PostgreSQL and
// with true ones. Every index is for one of these statements. Times are only printed.
func TestFinishedOrdersCostNothing(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		few := newShop(t, open, 1000)
		if few.databases["orders"].Engine() == database.SQLite {
			_, used := few.day(t, "first") // its plans do not depend on how many there are
			few.requireNoIndexForNothing(t, used)
			return
		}
		many, used := newShop(t, open, *growth), map[string]bool{}
		for _, statistics := range []string{"none", "true"} {
			if statistics == "true" {
				few.analyze(t)
				many.analyze(t)
			}
			before, _ := few.day(t, statistics)
			after, seen := many.day(t, statistics)
			maps.Copy(used, seen)
			for _, name := range slices.Sorted(maps.Keys(before)) {
				b, a := before[name], after[name]
				t.Logf("statistics: %-4s %-22s %5d -> %5d rows, %5d -> %5d blocks", statistics, name, b.Rows, a.Rows, b.Blocks, a.Blocks)
				require.LessOrEqual(t, float64(a.Rows), 1.3*float64(b.Rows), "%s\n%s", name, a.Text)
				for _, table := range a.Scanned {
					require.NotContains(t, growing, table, "%s\n%s", name, a.Text)
				}
			}
		}
		many.requireNoIndexForNothing(t, used)
		if testing.Verbose() {
			many.compareTimes(t, few)
		}
	})
}

// day lets everything happen once and returns what each act read, and the indexes in use.
func (s *shop) day(t *testing.T, tag string) (read map[string]testenv.Plan, used map[string]bool) {
	t.Helper()
	read, used = map[string]testenv.Plan{}, map[string]bool{}
	for _, a := range s.acts(tag) {
		var sum testenv.Plan
		for _, ran := range s.recorders[a.service].Explain(func() { require.NoError(t, a.do(t.Context()), a.name) }) {
			sum.Rows += ran.Plan.Rows
			sum.Blocks += ran.Plan.Blocks
			sum.Text += ran.Query + "\n" + ran.Plan.Text
			sum.Scanned = append(sum.Scanned, ran.Plan.Scanned...)
			for _, index := range ran.Plan.Indexes {
				used[index] = true
			}
			if s.databases[a.service].Engine() == database.SQLite {
				for _, table := range ran.Plan.Scanned {
					require.NotContains(t, growing, table, "%s: %s\n%s", a.name, ran.Query, ran.Plan.Text)
				}
			}
		}
		read[a.name] = sum
	}
	return read, used
}

// requireNoIndexForNothing finds the indexes that no act has used. Those that keep something unique have that to do.
func (s *shop) requireNoIndexForNothing(t *testing.T, used map[string]bool) {
	t.Helper()
	used["idempotency_keys_order"] = true // by SQLite, when it checks the reference to a new order
	for service, db := range s.databases {
		var indexes []string
		query := `SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND sql NOT LIKE 'CREATE UNIQUE%'`
		if db.Engine() == database.PostgreSQL {
			query = `SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
				WHERE relnamespace = current_schema()::regnamespace AND NOT indisunique`
		}
		require.NoError(t, db.Select(t.Context(), &indexes, query))
		for _, index := range indexes {
			require.True(t, used[index], "no statement uses %s of %s", index, service)
		}
	}
}

// analyze gives PostgreSQL true statistics, and takes away what is left of rows that are no more: their number is chance.
func (s *shop) analyze(t *testing.T) {
	t.Helper()
	for _, db := range s.databases {
		_, err := db.Pool().ExecContext(t.Context(), `VACUUM (ANALYZE)`)
		require.NoError(t, err)
	}
}

// compareTimes prints how long each act takes in two shops.
func (s *shop) compareTimes(t *testing.T, other *shop) {
	t.Helper()
	took := map[string][2][]time.Duration{}
	for round := range 15 {
		for which, each := range []*shop{other, s} {
			for _, a := range each.acts(fmt.Sprint("timed", round)) {
				began := time.Now()
				require.NoError(t, a.do(t.Context()), a.name)
				all := took[a.name]
				all[which] = append(all[which], time.Since(began))
				took[a.name] = all
			}
		}
	}
	p50 := func(all []time.Duration) time.Duration {
		slices.Sort(all)
		return all[len(all)/2]
	}
	lines := []string{}
	for name, all := range took {
		before, after := p50(all[0]), p50(all[1])
		lines = append(lines, fmt.Sprintf("%-24s p50 %8s -> %8s (%.2f)", name, before.Round(time.Microsecond), after.Round(time.Microsecond),
			float64(after)/float64(before)))
	}
	slices.SortFunc(lines, cmp.Compare[string])
	t.Log("\n" + strings.Join(lines, "\n"))
}
