package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"example.com/orderly/activities"
	"example.com/orderly/events/rabbit"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/node/temporal"
)

// benchProducts is how many products the orders are spread over: a shop where everybody buys the same thing measures one row.
const benchProducts = 100

// polledLately is how long after its last call a poller counts as being there: longer than such a call waits.
const polledLately = 90 * time.Second

func benchName() string { return "orderly_bench_" + strings.ToLower(rand.Text()[:12]) }

// privateConfig is the stack of a bench: what the environment replaces, under names of its own, and never its payment provider or its
// mail server.
func (b *bench) privateConfig(dir string) (config.Config, error) {
	named, err := config.FromEnvironment(services)
	if err != nil {
		return config.Config{}, err
	}
	cfg := config.Config{
		Data: dir, APIAddr: "127.0.0.1:0", SandboxAddr: "127.0.0.1:0", TemporalPort: "0", TemporalUIPort: "0",
		MailFrom: "Orderly <shop@orderly.example>", LogFormat: "text", LogLevel: "error",
		RabbitMQURL: named.RabbitMQURL, RabbitMQPrefix: b.name, RedisURL: named.RedisURL, TemporalAddress: named.TemporalAddress,
		PprofAddr: named.PprofAddr,
	}
	if named.DatabaseURL != "" {
		at, err := url.Parse(named.DatabaseURL)
		if err != nil {
			return config.Config{}, errors.New("DATABASE_URL is malformed: the URL can't be read")
		}
		at.Path = "/" + b.name
		cfg.DatabaseURL = at.String()
	}
	var list []product
	for i := range benchProducts {
		sku := fmt.Sprintf("BENCH-%03d", i)
		b.skus = append(b.skus, sku)
		list = append(list, product{SKU: sku, Name: sku, PriceMinor: 1000, Currency: "EUR", OnHand: 1_000_000})
	}
	body, err := json.Marshal(list)
	if err != nil {
		return config.Config{}, err
	}
	cfg.Products = filepath.Join(dir, "products.json")
	return cfg, os.WriteFile(cfg.Products, body, 0o600)
}

// runPrivate measures a stack of its own, of which nothing is left.
func (b *bench) runPrivate(ctx context.Context) (err error) {
	b.name = benchName()
	dir, err := os.MkdirTemp("", "orderly-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cfg, err := b.privateConfig(dir)
	if err != nil {
		return err
	}
	namespace, err := b.ownNamespace(ctx, cfg)
	if err != nil {
		return err
	}
	if cfg.DatabaseURL != "" || cfg.RabbitMQURL != "" || namespace != "" {
		b.say("On the servers outside, everything of this run is called " + b.name + " and is removed when it ends. What Redis has cached expires.")
	}
	defer func() { err = errors.Join(err, b.remove(context.WithoutCancel(ctx), cfg, namespace)) }()

	told := ctx
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cfg.TemporalNamespace = namespace
	s, err := openStack(ctx, cfg, roles, true, b.log, b.say)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		err := s.run(ctx)
		ended <- err
		stop(errors.New("the stack has stopped"))
	}()
	select {
	case <-s.ready:
		err = b.runOn(ctx, s)
		if told.Err() != nil {
			err = errors.New("interrupted") // what failed did so because everything is stopping
		}
		stop(nil)
		return errors.Join(err, <-ended)
	case err := <-ended:
		if err == nil {
			err = context.Cause(ctx)
		}
		return err
	}
}

// ownNamespace is the name of a Temporal namespace to make and to remove; empty where the server is embedded, or the environment names
// one. In that one nobody else may poll our task queues: they would be given our sagas.
func (b *bench) ownNamespace(ctx context.Context, cfg config.Config) (string, error) {
	if cfg.TemporalAddress == "" {
		return "", nil
	}
	if os.Getenv("TEMPORAL_NAMESPACE") == "" {
		return strings.ReplaceAll(b.name, "_", "-"), nil
	}
	return "", b.withTemporal(ctx, func(c client.Client, options client.Options) error {
		described, err := c.DescribeTaskQueue(ctx, activities.OrdersQueue, enums.TASK_QUEUE_TYPE_WORKFLOW)
		if err != nil {
			return fmt.Errorf("look who polls Temporal's task queue %s: %w", activities.OrdersQueue, err)
		}
		for _, poller := range described.GetPollers() {
			if time.Since(poller.GetLastAccessTime().AsTime()) < polledLately {
				return fmt.Errorf("TEMPORAL_NAMESPACE: %s polls the sagas of namespace %q; stop it and wait %s, or unset the variable and a "+
					"namespace is made", poller.GetIdentity(), options.Namespace, polledLately)
			}
		}
		return nil
	})
}

func (b *bench) withTemporal(ctx context.Context, do func(c client.Client, options client.Options) error) error {
	options, err := temporal.Options(b.log)
	if err != nil {
		return err
	}
	c, err := temporal.Dial(ctx, options, b.say)
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c, options)
}

// remove removes what the bench has made on servers outside.
func (b *bench) remove(ctx context.Context, cfg config.Config, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var errs []error
	if cfg.DatabaseURL != "" {
		admin, err := url.Parse(cfg.DatabaseURL)
		if err != nil {
			return err // it was parsed before
		}
		admin.Path = "/postgres"
		for _, service := range services {
			errs = append(errs, database.DropPostgres(ctx, admin.String(), b.name+"_"+service))
		}
	}
	if cfg.RabbitMQURL != "" {
		subscriptions := slices.Collect(maps.Values(builtIn()))
		errs = append(errs, rabbit.Remove(ctx, rabbit.Config{URL: cfg.RabbitMQURL, Prefix: b.name, Log: b.log}, subscriptions...))
	}
	if namespace != "" {
		errs = append(errs, b.withTemporal(ctx, func(c client.Client, _ client.Options) error {
			_, err := c.OperatorService().DeleteNamespace(ctx, &operatorservice.DeleteNamespaceRequest{Namespace: namespace})
			return err
		}))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove what is called %s from the servers: %w", b.name, err)
	}
	return nil
}
