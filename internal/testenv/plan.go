package testenv

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Plan is how an engine runs a statement.
type Plan struct {
	// Rows is how many rows were read, those thrown away included, and how many pairs a join looked at in vain; only PostgreSQL
	// counts.
	Rows int64
	// Blocks is how many blocks were looked at, from memory or disk; only PostgreSQL counts.
	Blocks int64
	// Scanned are the tables that are read from end to end.
	Scanned []string
	// Indexes are the indexes in use.
	Indexes []string
	// Text is the plan, to be read.
	Text string
}

type node struct {
	Type         string  `json:"Node Type"`
	Relation     string  `json:"Relation Name"`
	Index        string  `json:"Index Name"`
	ActualRows   float64 `json:"Actual Rows"`
	Loops        float64 `json:"Actual Loops"`
	Filtered     float64 `json:"Rows Removed by Filter"`
	JoinFiltered float64 `json:"Rows Removed by Join Filter"`
	Rechecked    float64 `json:"Rows Removed by Index Recheck"`
	SharedHit    int64   `json:"Shared Hit Blocks"`
	SharedRead   int64   `json:"Shared Read Blocks"`
	Plans        []node  `json:"Plans"`
}

func (n node) addTo(plan *Plan, indent string) {
	removed := n.Filtered + n.JoinFiltered + n.Rechecked
	switch {
	case n.Type == "Bitmap Index Scan": // counts entries, those of deleted rows among them until a vacuum
	case strings.HasSuffix(n.Type, "Scan"):
		plan.Rows += int64(n.Loops * (n.ActualRows + removed))
	default:
		plan.Rows += int64(n.Loops * n.JoinFiltered) // others pass on what scans have read, or compare it in vain
	}
	plan.Text += strings.TrimRight(fmt.Sprintf("%s%s %s %s", indent, n.Type, n.Relation, n.Index), " ") +
		fmt.Sprintf(": %.0f times %.0f rows and %.0f thrown away\n", n.Loops, n.ActualRows, removed)
	if n.Type == "Seq Scan" {
		plan.Scanned = append(plan.Scanned, n.Relation)
	}
	if n.Index != "" {
		plan.Indexes = append(plan.Indexes, n.Index)
	}
	for _, child := range n.Plans {
		child.addTo(plan, indent+"  ")
	}
}

func explainPostgres(ctx context.Context, on engineConn, query string, args []driver.NamedValue) (Plan, error) {
	lines, err := column(ctx, on, `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) `+query, args, 0)
	if err != nil {
		return Plan{}, err
	}
	var explained []struct{ Plan node }
	if err := json.Unmarshal([]byte(strings.Join(lines, "\n")), &explained); err != nil {
		return Plan{}, err
	}
	plan := Plan{Blocks: explained[0].Plan.SharedHit + explained[0].Plan.SharedRead}
	explained[0].Plan.addTo(&plan, "")
	return plan, nil
}

var (
	liteScan  = regexp.MustCompile(`^SCAN ([a-z]\w*)( USING .*)?$`)
	liteIndex = regexp.MustCompile(` USING (?:COVERING )?INDEX (\w+)`)
)

func explainSQLite(ctx context.Context, on engineConn, query string, args []driver.NamedValue) (Plan, error) {
	lines, err := column(ctx, on, `EXPLAIN QUERY PLAN `+query, args, 3)
	if err != nil {
		return Plan{}, err
	}
	partial, err := column(ctx, on, `SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'`, nil, 0)
	plan := Plan{Text: strings.Join(lines, "\n")}
	for _, line := range lines {
		index := liteIndex.FindStringSubmatch(line)
		if index != nil {
			plan.Indexes = append(plan.Indexes, index[1])
		}
		// A partial index may be read from end to end: it holds only what the condition is about.
		if scan := liteScan.FindStringSubmatch(line); scan != nil && (index == nil || !slices.Contains(partial, index[1])) {
			plan.Scanned = append(plan.Scanned, scan[1])
		}
	}
	return plan, err
}

// column reads one column of what a statement returns.
func column(ctx context.Context, on engineConn, query string, args []driver.NamedValue, place int) ([]string, error) {
	rows, err := on.QueryContext(ctx, query, args)
	if err != nil {
		return nil, err
	}
	var lines []string
	values := make([]driver.Value, len(rows.Columns()))
	for err = rows.Next(values); err == nil; err = rows.Next(values) {
		if text, is := values[place].([]byte); is {
			values[place] = string(text)
		}
		lines = append(lines, fmt.Sprint(values[place]))
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return lines, errors.Join(err, rows.Close())
}
