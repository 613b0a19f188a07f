package main

import (
	"encoding/json"
	"encoding/xml"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/measure"
)

// bench runs the command with tiny numbers and returns its report.
func (w *world) bench(args ...string) (report measure.Report, printed string) {
	w.t.Helper()
	plot := filepath.Join(w.t.TempDir(), "bench.svg")
	b := w.launch(append([]string{"bench", "--json", "--rounds", "2", "--orders", "4", "--in-flight", "4", "--concurrency", "2",
		"--events", "10", "--reads", "10", "--plot", plot}, args...)...)
	b.wait(4 * time.Minute)
	require.Equal(w.t, 0, b.cmd.ProcessState.ExitCode(), b.printed())
	objects := 0
	for line := range strings.Lines(b.printed()) {
		if strings.HasPrefix(line, "{") {
			objects++
			require.NoError(w.t, json.Unmarshal([]byte(line), &report))
		}
	}
	require.Equal(w.t, 1, objects, b.printed())
	drawn, err := os.ReadFile(plot)
	require.NoError(w.t, err)
	require.NoError(w.t, xml.Unmarshal(drawn, new(struct{})))
	return report, b.printed()
}

// requireFigures checks that each of the contestants has these figures, and that all are of two rounds and more than nothing.
func requireFigures(t *testing.T, report measure.Report, part string, contestants []string, kinds []measure.Kind) {
	t.Helper()
	found := map[[2]string]measure.Figure{}
	for _, f := range report.Figures {
		if f.Part == part {
			found[[2]string{f.Contestant, f.Name}] = f
		}
	}
	for _, contestant := range contestants {
		for _, kind := range kinds {
			f, ok := found[[2]string{contestant, kind.Name}]
			require.True(t, ok, "%s: %s of %s is missing", part, kind.Name, contestant)
			require.Len(t, f.Rounds, 2)
			require.Positive(t, f.Lowest, "%s: %s of %s", part, kind.Name, contestant)
			require.GreaterOrEqual(t, f.Median, f.Lowest)
			require.GreaterOrEqual(t, f.Highest, f.Median)
		}
	}
}

// requireBudgets checks that each budget was judged, and judged right.
func requireBudgets(t *testing.T, report measure.Report, budgets map[string]int) {
	t.Helper()
	found := map[string]int{}
	for _, v := range report.Verdicts {
		require.Positive(t, v.Value, v.Name)
		if v.Met == nil {
			continue
		}
		found[v.Budget]++
		switch v.Budget {
		case "at least 0.25":
			require.Equal(t, v.Value >= 0.25, *v.Met)
		case "at most 1.5":
			require.Equal(t, v.Value <= 1.5, *v.Met)
		}
	}
	require.Equal(t, budgets, found)
}

// figure is the median of one figure of the contestant.
func figure(report measure.Report, contestant, name string) float64 {
	for _, f := range report.Figures {
		if f.Contestant == contestant && f.Name == name {
			return f.Median
		}
	}
	return 0
}

var (
	engineOnes  = []string{plainStart, eagerStart, emptyActivities, emptyLocalOnes}
	privateOnes = []string{"orders, regular steps", "orders, inline steps"}
	onlyTimes   = orderKinds[:len(orderKinds)-4]
	allBudgets  = map[string]int{"at least 0.25": 2, "at least 0.8": 2, "at most 1.5": 4, "at most 1": 1, "at most 16": 1}
)

func TestBench(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	report, printed := w.bench()
	requireFigures(t, report, "orders", engineOnes, onlyTimes)
	requireFigures(t, report, "orders", privateOnes, orderKinds)
	requireFigures(t, report, "events", []string{outboxToApplied}, eventKinds)
	requireFigures(t, report, "reads", []string{cachedRead, bareHandler}, readKinds)
	requireBudgets(t, report, allBudgets)
	require.Contains(t, strings.Join(report.Notes, "\n"), "RABBITMQ_URL")

	// What the history says of the two ways does not depend on the machine.
	require.Equal(t, 37.0, figure(report, "orders, regular steps", historyEvents))
	require.Equal(t, 6.0, figure(report, "orders, regular steps", workflowTasks))
	require.Equal(t, 11.0, figure(report, "orders, inline steps", historyEvents))
	require.Equal(t, 1.0, figure(report, "orders, inline steps", workflowTasks))

	facts := map[string]string{}
	for _, fact := range report.Environment {
		facts[fact.Name] = fact.Value
	}
	require.Contains(t, facts["databases"], "SQLite")
	require.Contains(t, facts["Temporal"], "history shards: 1")
	require.Contains(t, facts["rate limits"], "frontend.namespaceRPS 100000")
	require.Contains(t, facts["pollers of a worker"], "2 for workflow tasks")
	require.Contains(t, printed, "orders, round 2 of 2, empty workflow", "no word of how far it is")
	require.NotContains(t, printed, "level=ERROR")
}

func TestBenchOnRealParts(t *testing.T) {
	t.Parallel()
	parts := newRealParts(t)
	w := newWorld(t)
	w.env = append(w.env, parts.env()...)
	report, printed := w.bench()
	requireFigures(t, report, "orders", privateOnes, orderKinds)
	requireFigures(t, report, "events", []string{outboxToApplied, bareQueue}, eventKinds)
	requireBudgets(t, report, allBudgets)
	for _, fact := range report.Environment {
		switch fact.Name {
		case "databases":
			require.Regexp(t, `^PostgreSQL .*fsync on, synchronous_commit on`, fact.Value)
		case "events":
			require.Regexp(t, `^RabbitMQ \d`, fact.Value)
		}
	}

	name := regexp.MustCompile(`orderly_bench_[a-z0-9]+`).FindString(printed)
	require.NotEmpty(t, name)
	admin, err := url.Parse(parts.server)
	require.NoError(t, err)
	admin.Path = "/postgres"
	db, err := database.Open(t.Context(), "admin", admin.String())
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	var left int
	require.NoError(t, db.Get(t.Context(), &left, `SELECT COUNT(*) FROM pg_database WHERE datname LIKE ?`, name+"%"))
	require.Zero(t, left, "databases are left behind")
}

// A running stack is measured as far as it can be seen: over HTTP, and at its Temporal server where that is named.
func TestBenchOfARunningStack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.flags = []string{"--inline"}
	w.start()
	outside := []string{"--url", "http://" + w.api, "--sandbox-url", "http://" + w.book}
	report, _ := w.bench(append(outside, "--only", "orders,reads")...)
	seen := append(onlyTimes[:len(onlyTimes):len(onlyTimes)], measure.Kind{Name: sqlStatements}, measure.Kind{Name: transactions})
	requireFigures(t, report, "orders", []string{"orders"}, seen)
	requireFigures(t, report, "reads", []string{cachedRead}, readKinds)
	require.Empty(t, report.Verdicts, "there is nothing to compare with")
	notes := strings.Join(report.Notes, "\n")
	require.Contains(t, notes, "TEMPORAL_ADDRESS")
	require.Contains(t, notes, "REDIS_URL")

	w.env = append(w.env, "TEMPORAL_ADDRESS="+w.temporal())
	report, _ = w.bench(append(outside, "--only", "orders")...)
	requireFigures(t, report, "orders", engineOnes, onlyTimes)
	requireFigures(t, report, "orders", []string{"orders"}, orderKinds)
	require.Equal(t, 11.0, figure(report, "orders", historyEvents))
	requireBudgets(t, report, map[string]int{"at least 0.25": 2, "at most 1.5": 2})
}

func TestBenchSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no rounds":       {[]string{"--rounds", "0"}, "--rounds"},
		"an unknown part": {[]string{"--only", "orders,mails"}, `"mails"`},
		"no such folder":  {[]string{"--plot", "/does/not/exist.svg"}, "--plot"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errs strings.Builder
			require.Equal(t, 1, run(t.Context(), append([]string{"bench"}, c.args...), &out, &errs))
			require.Contains(t, errs.String(), c.says)
		})
	}
}
