package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"example.com/orderly/internal/demo"
)

// runningTarget is a stack that is seen over HTTP.
type runningTarget struct {
	bench *bench
	seen  map[string]demo.Order
	looks atomic.Int64
	// perLook is how many SQL statements the stack runs to show an order. It begins no transaction for that.
	perLook int64
}

func (t *runningTarget) placements() []placement { return []placement{{"orders", false}} }

func (t *runningTarget) choose(placement) {}

func (t *runningTarget) look(ctx context.Context, orderID string) (demo.Order, error) {
	t.looks.Add(1)
	return t.bench.shops[0].Order(ctx, orderID)
}

func (t *runningTarget) await(ctx context.Context, orderID string) error {
	_, err := t.until(ctx, orderID, demo.Order.Ended)
	return err
}

// settle looks at one order after the other, in the order they were placed in, so that each is looked at little more than once.
func (t *runningTarget) settle(ctx context.Context, orderIDs []string) error {
	for _, id := range orderIDs {
		order, err := t.until(ctx, id, func(o demo.Order) bool {
			return o.Ended() && (o.State != "completed" || len(o.Timeline) >= len(demo.CompletedEvents) && len(o.Mails) > 0)
		})
		if err != nil {
			return err
		}
		t.seen[id] = order
	}
	return nil
}

func (t *runningTarget) until(ctx context.Context, orderID string, enough func(o demo.Order) bool) (demo.Order, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, benchPatience,
		fmt.Errorf("order %s has not come to its end, with all events and its mail, within %s", orderID, benchPatience))
	defer cancel()
	tick := time.NewTicker(benchLook)
	defer tick.Stop()
	for {
		order, err := t.look(ctx, orderID)
		if err == nil && enough(order) {
			return order, nil
		}
		if err != nil && ctx.Err() == nil {
			return order, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return order, context.Cause(ctx)
		}
	}
}

func (t *runningTarget) ended(_ context.Context, orderIDs []string) ([]time.Time, error) {
	at := make([]time.Time, len(orderIDs))
	for i, id := range orderIDs {
		order := t.seen[id]
		if order.State != "completed" {
			return nil, fmt.Errorf("order %s is %s %s and should be completed", id, order.State, order.Reason)
		}
		at[i] = order.Timeline[len(order.Timeline)-1].Time
		delete(t.seen, id)
	}
	return at, nil
}

func (t *runningTarget) asked(ctx context.Context) (asked, bool) {
	total, err := t.counted(ctx)
	total.statements -= t.perLook * t.looks.Load()
	return total, err == nil
}

// calibrate finds out what looking at an order costs, and whether the API's process counts the statements of the whole stack.
func (t *runningTarget) calibrate(ctx context.Context) error {
	const looks = 20
	order, err := t.bench.place(ctx, 1, 1, nil)
	if err == nil {
		err = t.settle(ctx, order.ids)
	}
	if err != nil {
		return err
	}
	before, err := t.counted(ctx)
	if err != nil {
		t.bench.note("SQL statements: %s", err)
		return nil
	}
	for range looks {
		if _, err := t.look(ctx, order.ids[0]); err != nil {
			return err
		}
	}
	after, err := t.counted(ctx)
	t.perLook = (after.statements - before.statements) / looks
	return err
}

// counted is what the databases of the stack were asked for so far, from its /metrics.
func (t *runningTarget) counted(ctx context.Context) (total asked, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.bench.shops[0].API+"/metrics", nil)
	if err != nil {
		return asked{}, err
	}
	response, err := t.bench.shops[0].HTTP.Do(request)
	if err != nil {
		return asked{}, err
	}
	defer func() { _ = response.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return asked{}, fmt.Errorf("/metrics of the API can't be read: %w", err)
	}
	whole := false
	for name, sum := range map[string]*int64{
		"orderly_database_statements_total": &total.statements, "orderly_database_transactions_total": &total.transactions,
	} {
		for _, metric := range families[name].GetMetric() {
			*sum += int64(metric.GetCounter().GetValue())
			for _, label := range metric.GetLabel() {
				whole = whole || label.GetValue() == "payments"
			}
		}
	}
	if !whole {
		return asked{}, errors.New("the stack is several processes, and the API counts only its own")
	}
	return total, nil
}
