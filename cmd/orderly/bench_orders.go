package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"golang.org/x/sync/errgroup"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/measure"
	"example.com/orderly/workflows"
)

// The figures of a round. An order's answer is the 202; an empty workflow's is that of StartWorkflow.
const (
	perSecond     = "rate"
	answerP50     = "to the answer, clients back to back, p50"
	answerP99     = "to the answer, clients back to back, p99"
	calmAnswerP50 = "to the answer, clients await ends, p50"
	calmAnswerP99 = "to the answer, clients await ends, p99"
	endP50        = "to the end, clients await it, p50"
	endP99        = "to the end, clients await it, p99"
	historyEvents = "history events"
	workflowTasks = "workflow tasks"
	sqlStatements = "SQL statements"
	transactions  = "SQL transactions"
)

const (
	plainStart      = "empty workflow"
	eagerStart      = "empty workflow, eager start"
	emptyActivities = "five empty activities, eager start"
	emptyLocalOnes  = "five empty local activities, eager start"
)

var orderKinds = []measure.Kind{
	{Name: perSecond, Unit: "per second"},
	{Name: answerP50, Unit: "ms"}, {Name: answerP99, Unit: "ms"},
	{Name: calmAnswerP50, Unit: "ms"}, {Name: calmAnswerP99, Unit: "ms"},
	{Name: endP50, Unit: "ms"}, {Name: endP99, Unit: "ms"},
	{Name: historyEvents, Unit: "per order"}, {Name: workflowTasks, Unit: "per order"}, {Name: sqlStatements, Unit: "per order"},
	{Name: transactions, Unit: "per order"},
}

// historiesRead is of how many orders a round reads the history.
const historiesRead = 3

func isOurs(contestant string) bool {
	isEmpty := slices.ContainsFunc(emptyOnes, func(e empty) bool { return e.name == contestant })
	return !isEmpty && contestant != bareQueue && contestant != bareHandler
}

// benchRest comes before each turn, so that what the last one has left to do (Temporal writes down for its search what has ended)
// is not part of it.
const benchRest = time.Second

func (b *bench) orderContestants(n int) []measure.Contestant {
	var contestants []measure.Contestant
	add := func(name string, turn func(ctx context.Context) (measure.Figures, error)) {
		contestants = append(contestants, measure.Contestant{Name: name, Run: func(ctx context.Context) (measure.Figures, error) {
			select {
			case <-time.After(benchRest):
				return turn(ctx)
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}})
	}
	if b.empty != nil {
		for _, e := range emptyOnes {
			add(e.name, func(ctx context.Context) (measure.Figures, error) { return b.runEmpty(ctx, n, e) })
		}
	}
	for _, p := range b.target.placements() {
		add(p.name, func(ctx context.Context) (measure.Figures, error) {
			b.target.choose(p)
			return b.runOrders(ctx, n)
		})
	}
	return contestants
}

// runOrders is a round of orders: as many as can be at once, for the rate; then a few clients, for the time to the answer; then a few
// that each wait for the end of their order before they place the next.
func (b *bench) runOrders(ctx context.Context, n int) (measure.Figures, error) {
	before, countable := b.target.asked(ctx)
	began := time.Now()
	rush, err := b.place(ctx, b.inFlight, n, nil)
	if err != nil {
		return nil, err
	}
	if err := b.target.settle(ctx, rush.ids); err != nil {
		return nil, err
	}
	figures := measure.Figures{perSecond: measure.PerSecond(n, time.Since(began))}
	if after, ok := b.target.asked(ctx); ok && countable {
		figures[sqlStatements] = float64(after.statements-before.statements) / float64(n)
		figures[transactions] = float64(after.transactions-before.transactions) / float64(n)
	}

	few := (n + 1) / 2
	busy, err := b.place(ctx, b.concurrency, few, nil)
	if err != nil {
		return nil, err
	}
	if err := b.target.settle(ctx, busy.ids); err != nil {
		return nil, err
	}
	calm, err := b.place(ctx, b.concurrency, few, b.target.await)
	if err != nil {
		return nil, err
	}
	if err := b.target.settle(ctx, calm.ids); err != nil {
		return nil, err
	}
	ends, err := b.target.ended(ctx, slices.Concat(rush.ids, busy.ids, calm.ids))
	if err != nil {
		return nil, err
	}
	toEnd := make([]time.Duration, few)
	for i, at := range ends[n+few:] {
		toEnd[i] = at.Sub(calm.began[i])
	}
	addLatencies(figures, busy.answered, calm.answered, toEnd)
	return figures, b.readHistories(ctx, calm.ids[:min(historiesRead, few)], figures)
}

func addLatencies(figures measure.Figures, busy, calm, toEnd []time.Duration) {
	for name, of := range map[string]struct {
		durations []time.Duration
		percent   float64
	}{
		answerP50: {busy, 50}, answerP99: {busy, 99}, calmAnswerP50: {calm, 50}, calmAnswerP99: {calm, 99},
		endP50: {toEnd, 50}, endP99: {toEnd, 99},
	} {
		figures[name] = measure.Milliseconds(measure.Percentile(of.durations, of.percent))
	}
}

// placed are orders, or workflows, with when each was asked for and how long its answer took.
type placed struct {
	ids      []string
	began    []time.Time
	answered []time.Duration
	ended    []time.Duration
}

func newPlaced(n int) placed {
	return placed{make([]string, n), make([]time.Time, n), make([]time.Duration, n), make([]time.Duration, n)}
}

// place has clients place n orders, one after the other each; then, where given, is part of each client's turn.
func (b *bench) place(ctx context.Context, clients, n int, then func(ctx context.Context, orderID string) error) (placed, error) {
	p := newPlaced(n)
	err := inParallel(ctx, clients, n, func(ctx context.Context, i int) error {
		serial := b.placed.Add(1)
		p.began[i] = time.Now()
		order, err := b.shops[0].Place(ctx, fmt.Sprintf("%s-%d", b.name, serial),
			[]demo.Line{{SKU: b.skus[int(serial)%len(b.skus)], Quantity: 1}}, "pm_card_visa")
		p.answered[i] = time.Since(p.began[i])
		if err != nil {
			return fmt.Errorf("place an order (too many at once? --in-flight, --concurrency): %w", err)
		}
		p.ids[i] = order.ID
		if then != nil {
			return then(ctx, order.ID)
		}
		return nil
	})
	return p, err
}

// inParallel has clients do n things, each the next one as soon as it is through with the last.
func inParallel(ctx context.Context, clients, n int, do func(ctx context.Context, i int) error) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(clients, n) {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if err := do(ctx, i); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

// readHistories counts what the sagas of some orders came to, where their server is known.
func (b *bench) readHistories(ctx context.Context, orderIDs []string, figures measure.Figures) error {
	if b.temporal == nil {
		return nil
	}
	var events, tasks measure.Series
	for _, id := range orderIDs {
		history := b.temporal.GetWorkflowHistory(
			ctx, workflows.OrderWorkflowID(id), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		var all, completed float64
		for history.HasNext() {
			event, err := history.Next()
			if err != nil {
				return fmt.Errorf("read the history of order %s (is TEMPORAL_ADDRESS the server of this stack?): %w", id, err)
			}
			all++
			if event.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
				completed++
			}
		}
		events, tasks = append(events, all), append(tasks, completed)
	}
	figures[historyEvents], figures[workflowTasks] = events.Median(), tasks.Median()
	return nil
}
