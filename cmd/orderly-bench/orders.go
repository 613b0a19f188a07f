package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/enums/v1"
	"golang.org/x/sync/errgroup"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/orders"
	"example.com/orderly/workflows"
)

const (
	// alone is how many orders of a round are placed one at a time, to count what one costs.
	alone = 3
	// askedLast is how many of the sagas that were started last are asked for their end: about as many as end at once.
	askedLast = 16
)

func (b *bench) orderBenchmarks() []benchmark {
	var all []benchmark
	for _, kind := range []struct {
		name   string
		inline bool
	}{{"regular", false}, {"inline", true}} {
		all = append(all, benchmark{"Orders/" + kind.name, b.orders, func(ctx context.Context, n int) (result, error) {
			if err := pause(ctx); err != nil {
				return result{}, err
			}
			b.node.Starter.Inline(kind.inline)
			return b.runOrders(ctx, n)
		}})
	}
	return all
}

// pause comes before each turn on Temporal, so that what the last turn has left to do (Temporal enters into its search what has ended) is not
// part of it.
func pause(ctx context.Context) error {
	select {
	case <-time.After(time.Second):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// runOrders is a round of orders: as many as can be at once, for the rate; then a few clients, for the time to the answer; then a few that
// each wait for the end of their order before they place the next; then some one at a time, to count what one order costs.
func (b *bench) runOrders(ctx context.Context, n int) (result, error) {
	few := (n + 1) / 2
	statements, transactions := b.rest.asked()
	began := time.Now()
	rush, err := b.place(ctx, b.inFlight, n, false)
	if err != nil {
		return result{}, err
	}
	took := time.Since(began)
	costs := b.costs("under-load", n, statements, transactions)
	busy, err := b.place(ctx, b.concurrency, few, false)
	if err != nil {
		return result{}, err
	}
	calm, err := b.place(ctx, b.concurrency, few, true)
	if err != nil {
		return result{}, err
	}
	statements, transactions = b.rest.asked()
	var single []string
	for range alone {
		one, err := b.place(ctx, 1, 1, true)
		if err != nil {
			return result{}, err
		}
		single = append(single, one.ids...)
	}
	costs = append(costs, b.costs("alone", alone, statements, transactions)...)
	toEnd, err := b.toEnd(ctx, slices.Concat(rush.ids, busy.ids, single), calm)
	if err != nil {
		return result{}, err
	}
	histories, err := b.histories(ctx, single)
	return result{took, slices.Concat(
		latencies("busy-answer", busy.answered), latencies("calm-answer", calm.answered), latencies("end", toEnd), histories, costs,
	)}, err
}

// costs are the statements and transactions of each of n orders since the given counts. They contain what relay, listeners and sweeper ask
// by the clock meanwhile.
func (b *bench) costs(when string, n int, statements, transactions int64) []figure {
	nowStatements, nowTransactions := b.rest.asked()
	return []figure{
		{"statements-" + when + "/order", float64(nowStatements-statements) / float64(n)},
		{"transactions-" + when + "/order", float64(nowTransactions-transactions) / float64(n)},
	}
}

// placed are orders, with when each was asked for and how long its answer took.
type placed struct {
	ids      []string
	began    []time.Time
	answered []time.Duration
}

// place lets clients place n orders, one after the other each, and returns when everything about them is done. With awaitEnds each client
// waits for the end of its order before it places the next.
func (b *bench) place(ctx context.Context, clients, n int, awaitEnds bool) (placed, error) {
	p := placed{make([]string, n), make([]time.Time, n), make([]time.Duration, n)}
	err := inParallel(ctx, clients, n, func(ctx context.Context, i int) error {
		serial := b.placed.Add(1)
		p.began[i] = time.Now()
		order, err := b.clients[0].Place(ctx, fmt.Sprintf("%s-%d", b.sys.name, serial),
			[]demo.Line{{SKU: b.sys.skus[int(serial)%len(b.sys.skus)], Quantity: 1}}, "pm_card_visa")
		p.answered[i] = time.Since(p.began[i])
		if err != nil {
			return fmt.Errorf("place an order (too many at once? -in-flight, -concurrency): %w", err)
		}
		p.ids[i] = order.ID
		if awaitEnds {
			return b.node.Starter.Await(ctx, order.ID)
		}
		return nil
	})
	if err != nil {
		return p, err
	}
	return p, b.settle(ctx, p.ids)
}

// settle returns when these orders, and no others are under way, have completed and every listener has handled their events.
func (b *bench) settle(ctx context.Context, ids []string) error {
	// The mail is about the last event of an order, so it comes when the others have been published; none may wait in an inbox then.
	if err := b.rest.await(ctx, len(ids), len(ids)); err != nil {
		_, unhealthy := b.ended(context.WithoutCancel(ctx), ids)
		return errors.Join(unhealthy, err)
	}
	// The sagas themselves: asked of those placed last, so that asking does not become the work.
	group, ctx := errgroup.WithContext(ctx)
	for _, id := range ids[max(0, len(ids)-askedLast):] {
		group.Go(func() error { return b.node.Starter.Await(ctx, id) })
	}
	return group.Wait()
}

// toEnd is how long each of the orders in calm took to its end. It is an error if one of those, or of the others, came to another end than
// completed.
func (b *bench) toEnd(ctx context.Context, others []string, calm placed) ([]time.Duration, error) {
	if _, err := b.ended(ctx, others); err != nil {
		return nil, err
	}
	ends, err := b.ended(ctx, calm.ids)
	if err != nil {
		return nil, err
	}
	took := make([]time.Duration, len(ends))
	for i, at := range ends {
		took[i] = at.Sub(calm.began[i])
	}
	return took, nil
}

// ended is when each of the orders completed; an error if one has not.
func (b *bench) ended(ctx context.Context, ids []string) ([]time.Time, error) {
	at := make([]time.Time, len(ids))
	for i, id := range ids {
		order, err := b.node.Orders.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		if order.State != orders.Completed {
			return nil, fmt.Errorf("order %s is %s %s %s and should be completed", id, order.State, order.Reason, order.AttentionReason)
		}
		at[i] = order.UpdatedAt
	}
	return at, nil
}

// histories counts the workflow tasks and history events of the orders' sagas.
func (b *bench) histories(ctx context.Context, ids []string) ([]figure, error) {
	var tasks, events int
	for _, id := range ids {
		history := b.node.Temporal.GetWorkflowHistory(
			ctx, workflows.OrderWorkflowID(id), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for history.HasNext() {
			event, err := history.Next()
			if err != nil {
				return nil, fmt.Errorf("read the history of order %s: %w", id, err)
			}
			events++
			if event.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
				tasks++
			}
		}
	}
	n := float64(len(ids))
	return []figure{{"workflow-tasks/order", float64(tasks) / n}, {"history-events/order", float64(events) / n}}, nil
}
