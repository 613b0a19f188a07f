package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/redis/go-redis/v9"
	"go.temporal.io/sdk/client"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/measure"
	"example.com/orderly/internal/node/config"
)

// runOutside measures a running stack, of which only the API is known; and, where the environment names them, its Temporal server and
// its Redis.
func (b *bench) runOutside(ctx context.Context, api, provider string) error {
	b.name = benchName()
	cfg, err := config.FromEnvironment(services)
	if err != nil {
		return err
	}
	if err := b.register(ctx, api, provider); err != nil {
		return err
	}
	if cfg.TemporalAddress == "" {
		b.note("an empty workflow, history events and workflow tasks: TEMPORAL_ADDRESS does not name the stack's Temporal server")
		return b.runOver(ctx, cfg, "")
	}
	return b.withTemporal(ctx, func(c client.Client, options client.Options) error {
		b.temporal = c
		stop, err := b.openEmpty(c)
		if err != nil {
			return err
		}
		defer stop()
		return b.runOver(ctx, cfg, options.Namespace)
	})
}

func (b *bench) runOver(ctx context.Context, cfg config.Config, namespace string) error {
	b.describeMachine()
	b.fact("stack", b.shops[0].API+", seen over HTTP; what else it runs on is not told by its API")
	if b.temporal != nil {
		if err := b.describeTemporal(ctx, namespace); err != nil {
			return err
		}
		b.fact("rate limits", limitsUntold)
	}
	if err := measure.Facts(b.progress, b.report.Environment); err != nil {
		return err
	}
	if b.measures("orders") {
		if err := b.chooseProducts(ctx); err != nil {
			return err
		}
		running := &runningTarget{bench: b, seen: map[string]demo.Order{}}
		b.target = running
		if err := running.calibrate(ctx); err != nil {
			return err
		}
		b.note("regular and inline steps side by side: orders run as the stack runs them; their end is by its clock, their start by ours")
		if err := b.measureOrders(ctx); err != nil {
			return err
		}
	}
	if b.measures("events") {
		b.note("events: they can't be put into an outbox from outside")
	}
	if b.measures("reads") {
		var of *redis.Options
		if cfg.RedisURL == "" {
			b.note("a bare gin handler: REDIS_URL does not name a Redis server")
		} else {
			named, err := redis.ParseURL(cfg.RedisURL)
			if err != nil {
				return errors.New("REDIS_URL is malformed: it must look like redis://host:6379/0")
			}
			of = named
		}
		if err := b.measureReads(ctx, of); err != nil {
			return err
		}
	}
	return b.finish()
}

// chooseProducts spreads the orders over as many products as have enough pieces.
func (b *bench) chooseProducts(ctx context.Context) error {
	stock, err := b.shops[0].Available(ctx)
	if err != nil {
		return err
	}
	skus := slices.SortedFunc(maps.Keys(stock), func(one, other string) int { return cmp.Compare(stock[other], stock[one]) })
	total := int64((b.rounds+1)*(2*b.orders+2) + 1)
	for k := min(len(skus), benchProducts); k > 0; k-- {
		if stock[skus[k-1]] > total/int64(k) {
			b.skus = skus[:k]
			return nil
		}
	}
	return fmt.Errorf("no products of %s have the %d pieces on hand that are ordered: fewer with --orders and --rounds, or a stack with more "+
		"(ORDERLY_PRODUCTS)", b.shops[0].API, total)
}
