package testenv

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Plan is how an engine runs a statement.
type Plan struct {
	// Rows is how many rows all nodes together read, those they threw away included; only PostgreSQL counts.
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
	plan.Rows += int64(n.Loops * (n.ActualRows + removed))
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
	liteScan  = regexp.MustCompile(`^SCAN (\w+)( USING .*)?$`)
	liteIndex = regexp.MustCompile(` USING (?:COVERING )?INDEX (\w+)`)
)

func explainSQLite(ctx context.Context, on engineConn, query string, args []driver.NamedValue) (Plan, error) {
	lines, err := column(ctx, on, `EXPLAIN QUERY PLAN `+query, args, 3)
	plan := Plan{Text: strings.Join(lines, "\n")}
	for _, line := range lines {
		if scan := liteScan.FindStringSubmatch(line); scan != nil {
			plan.Scanned = append(plan.Scanned, scan[1])
		}
		if index := liteIndex.FindStringSubmatch(line); index != nil {
			plan.Indexes = append(plan.Indexes, index[1])
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
	defer rows.Close()
	var lines []string
	values := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(values); err {
		case nil:
		case io.EOF:
			return lines, nil
		default:
			return nil, err
		}
		if text, is := values[place].([]byte); is {
			lines = append(lines, string(text))
			continue
		}
		lines = append(lines, fmt.Sprint(values[place]))
	}
}
