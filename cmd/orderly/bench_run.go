package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/measure"
)

// runOn measures a stack of this process, once it is ready.
func (b *bench) runOn(ctx context.Context, s *stack) (err error) {
	if b.temporal, err = s.temporal.Await(ctx); err != nil {
		return err
	}
	private := &privateTarget{stack: s}
	b.target = private
	broker, closed, err := b.openBroker(s.cfg.RabbitMQURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closed()) }()
	stop, err := b.openEmpty(b.temporal)
	if err != nil {
		return err
	}
	defer stop()
	if err := b.register(ctx, "http://"+s.apiAddr, "http://"+s.sandboxAddr); err != nil {
		return err
	}
	if err := private.applied(ctx, len(b.shops), len(b.shops)); err != nil {
		return fmt.Errorf("greet the customers: %w", err)
	}
	if err := b.describe(ctx, s, broker); err != nil {
		return err
	}
	if b.measures("orders") {
		b.note("SQL statements do not contain the one that each listener's own handler runs per event, nor BEGIN and COMMIT")
	}

	if err := b.measureOrders(ctx); err != nil {
		return err
	}
	if b.measures("events") {
		if broker == nil {
			b.note("a bare amqp091 publisher and consumer: RABBITMQ_URL is not set, and events go from outbox to inbox inside the process")
		}
		results, err := b.alternate(ctx, "events", b.events, b.eventContestants(private, broker), eventKinds)
		if err != nil {
			return err
		}
		b.report.Hold(measure.Ratio("rate of events applied, over a bare queue",
			results[outboxToApplied][perSecond], results[bareQueue][perSecond], measure.Bound{}))
	}
	if b.measures("reads") {
		if err := b.measureReads(ctx, s.redis.Options()); err != nil {
			return err
		}
	}
	return b.finish()
}

// register makes as many customers as there are clients, so that readers do not share one look-up.
func (b *bench) register(ctx context.Context, api, provider string) error {
	clients := max(b.concurrency, b.inFlight)
	transport := &http.Transport{MaxIdleConns: clients, MaxIdleConnsPerHost: clients, IdleConnTimeout: time.Minute}
	for range b.concurrency {
		s := demo.NewClient(api, provider)
		s.HTTP.Transport = transport
		if err := s.Register(ctx, fmt.Sprintf("bench-%s@example.com", uuid.NewString()), "Bench Customer", uuid.NewString()); err != nil {
			return err
		}
		b.shops = append(b.shops, s)
	}
	return nil
}

// measureOrders measures orders beside empty workflows and holds them against the budget.
func (b *bench) measureOrders(ctx context.Context) error {
	if !b.measures("orders") {
		return nil
	}
	results, err := b.alternate(ctx, "orders", b.orders, b.orderContestants, orderKinds)
	if err != nil {
		return err
	}
	for _, p := range b.target.placements() {
		of := results[p.name]
		rate := measure.Bound{AtLeast: 0.25}
		if p.inline {
			rate = measure.Bound{AtLeast: 0.8}
		}
		// Our sagas start eagerly, too; but a plain start is what everybody knows.
		for _, bare := range []string{plainStart, eagerStart} {
			b.report.Hold(measure.Ratio("rate of "+p.name+", over "+bare, of[perSecond], results[bare][perSecond], rate))
		}
		engine := map[bool]string{false: emptyActivities, true: emptyLocalOnes}[p.inline]
		b.report.Hold(measure.Ratio("rate of "+p.name+", over "+engine, of[perSecond], results[engine][perSecond], measure.Bound{}))
		for _, figure := range []string{answerP50, calmAnswerP50} {
			b.report.Hold(measure.Ratio("202 of "+p.name+", over StartWorkflow, "+strings.TrimPrefix(figure, "to the answer, "),
				of[figure], results[plainStart][figure], measure.Bound{AtMost: 1.5}))
		}
		if p.inline {
			b.report.Hold(measure.Judge("workflow tasks of "+p.name, of[workflowTasks], measure.Bound{AtMost: 1}))
			b.report.Hold(measure.Judge("history events of "+p.name, of[historyEvents], measure.Bound{AtMost: 16}))
		}
	}
	return nil
}

// measureReads measures cached reads beside a bare handler, where there is a Redis server for that.
func (b *bench) measureReads(ctx context.Context, of *redis.Options) (err error) {
	bare := ""
	if of != nil {
		opened, closed, refused := b.openBareHandler(ctx, of)
		if refused != nil {
			return refused
		}
		defer func() { err = errors.Join(err, closed()) }()
		bare = opened
	}
	results, err := b.alternate(ctx, "reads", b.reads, b.readContestants(bare), readKinds)
	if err != nil {
		return err
	}
	b.report.Hold(measure.Ratio("rate of cached reads, over a bare handler",
		results[cachedRead][perSecond], results[bareHandler][perSecond], measure.Bound{}))
	return nil
}
