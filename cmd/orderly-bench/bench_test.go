package main

import (
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// runBench runs the program with tiny numbers and returns what it prints: the figures of each line by unit, by the benchmark's name, a line per
// round.
func runBench(t *testing.T, args ...string) (lines map[string][]map[string]float64, stdout, stderr string) {
	t.Helper()
	t.Setenv("TEMPORAL_CLI", testenv.TemporalCLI(t))
	var out, errs strings.Builder
	code := run(t.Context(), append([]string{"-rounds", "2", "-orders", "4", "-in-flight", "4", "-concurrency", "2",
		"-events", "10", "-reads", "10"}, args...), &out, &errs)
	require.Zero(t, code, errs.String())
	lines = map[string][]map[string]float64{}
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "Benchmark") {
			continue
		}
		fields := strings.Fields(line)
		require.Regexp(t, `^Benchmark\w+/[\w-]+-\d+$`, fields[0])
		name := fields[0][len("Benchmark"):strings.LastIndex(fields[0], "-")]
		figures := map[string]float64{}
		require.Zero(t, len(fields)%2, line)
		for i := 2; i < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			require.NoError(t, err, line)
			require.Positive(t, value, "%s: %s", name, fields[i+1])
			figures[fields[i+1]] = value
		}
		lines[name] = append(lines[name], figures)
	}
	return lines, out.String(), errs.String()
}

var onEmbeddedParts = []string{
	"EmptyWorkflow/plain-start", "EmptyWorkflow/eager-start", "EmptyWorkflow/five-activities", "EmptyWorkflow/five-local-activities",
	"Orders/regular", "Orders/inline", "Events/outbox-to-applied", "Reads/session-and-profile", "Reads/bare-handler",
}

func TestBench(t *testing.T) {
	for _, variable := range []string{"DATABASE_URL", "RABBITMQ_URL", "REDIS_URL", "TEMPORAL_ADDRESS"} {
		t.Setenv(variable, "")
	}
	lines, out, errs := runBench(t)
	for _, name := range onEmbeddedParts {
		require.Len(t, lines[name], 2, "a line per round of %s", name)
		require.Contains(t, lines[name][0], "ns/op")
		require.Contains(t, lines[name][0], "ops/s")
	}
	require.Len(t, lines, len(onEmbeddedParts))
	// What the history says of the two ways does not depend on the machine.
	for i := range 2 {
		require.Equal(t, 37.0, lines["Orders/regular"][i]["history-events/order"])
		require.Equal(t, 6.0, lines["Orders/regular"][i]["workflow-tasks/order"])
		require.Equal(t, 11.0, lines["Orders/inline"][i]["history-events/order"])
		require.Equal(t, 1.0, lines["Orders/inline"][i]["workflow-tasks/order"])
		for _, unit := range []string{"statements-under-load/order", "transactions-under-load/order", "statements-alone/order", "transactions-alone/order"} {
			require.Contains(t, lines["Orders/inline"][i], unit)
		}
	}
	require.Contains(t, out, "databases: SQLite")
	require.Regexp(t, `(?m)^temporal: .* 1 history shards$`, out)
	require.Contains(t, errs, "round 2 of 2, EmptyWorkflow/plain-start", "no word of how far it is")
	require.NotContains(t, errs, "level=ERROR")
}

func TestBenchOnRealParts(t *testing.T) {
	server := os.Getenv("DATABASE_URL")
	for variable, example := range map[string]string{
		"DATABASE_URL": "postgres://postgres@127.0.0.1:5432/postgres", "RABBITMQ_URL": "amqp://guest:guest@127.0.0.1:5672/",
		"REDIS_URL": "redis://127.0.0.1:6379/0",
	} {
		if os.Getenv(variable) == "" {
			testenv.Missing(t, variable, example)
		}
	}
	databases := func() (names []string) {
		admin, err := url.Parse(server)
		require.NoError(t, err)
		admin.Path = "/postgres"
		db, err := database.Open(t.Context(), "admin", admin.String())
		require.NoError(t, err)
		defer func() { _ = db.Close() }()
		require.NoError(t, db.Select(t.Context(), &names, `SELECT datname FROM pg_database WHERE datname LIKE 'orderly_bench_%'`))
		return names
	}
	before := databases()
	lines, out, _ := runBench(t, "-only", "orders,events")
	require.Len(t, lines["Orders/inline"], 2)
	require.Len(t, lines["Events/bare-quorum-queue"], 2)
	require.NotContains(t, lines, "Reads/bare-handler")
	require.Regexp(t, `(?m)^databases: PostgreSQL .*fsync (on|off), synchronous_commit on`, out)
	require.Subset(t, before, databases(), "databases are left behind")
}

func TestBenchSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no rounds":       {[]string{"-rounds", "0"}, "-rounds"},
		"an unknown part": {[]string{"-only", "orders,mails"}, `"mails"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errs strings.Builder
			require.Equal(t, 1, run(t.Context(), c.args, &out, &errs))
			require.Contains(t, errs.String(), c.says)
		})
	}
}
