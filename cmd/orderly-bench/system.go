package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"example.com/orderly/activities"
	"example.com/orderly/events/rabbit"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/node"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/node/temporal"
)

const (
	// products is how many products the orders are spread over: a single one would measure the lock of its row.
	products = 100
	// polledLately is how long after its last call a poller counts as being there: longer than such a call waits.
	polledLately = 90 * time.Second
)

// system is the system that is measured: a node with every role, whose names on servers outside nothing else uses.
type system struct {
	name      string
	cfg       config.Config
	namespace string // that is made and removed; empty where the server is embedded, or the environment names one
	skus      []string
	log       *slog.Logger
	say       func(line string)
}

func newSystem(ctx context.Context, dir string, log *slog.Logger, say func(line string)) (*system, error) {
	s := &system{name: "orderly_bench_" + strings.ToLower(rand.Text()[:12]), log: log, say: say}
	if err := s.configure(dir); err != nil {
		return nil, err
	}
	if s.cfg.TemporalAddress != "" {
		if err := s.chooseNamespace(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// configure takes what the environment replaces, under names of its own, and never its payment provider or its mail server.
func (s *system) configure(dir string) error {
	named, err := node.FromEnvironment()
	if err != nil {
		return err
	}
	s.cfg = config.Config{
		Data: dir, APIAddr: "127.0.0.1:0", OperatorAddr: "127.0.0.1:0", SandboxAddr: "127.0.0.1:0", TemporalPort: "0", TemporalUIPort: "0",
		MailFrom: "Orderly <shop@orderly.example>", Products: filepath.Join(dir, "products.json"),
		RabbitMQURL: named.RabbitMQURL, RabbitMQPrefix: s.name, RedisURL: named.RedisURL, RedisPrefix: s.name, TemporalAddress: named.TemporalAddress,
		PprofAddr: named.PprofAddr,
	}
	if named.DatabaseURL != "" {
		at, err := url.Parse(named.DatabaseURL)
		if err != nil {
			return errors.New("DATABASE_URL is malformed: the URL can't be read")
		}
		at.Path = "/" + s.name
		s.cfg.DatabaseURL = at.String()
	}
	var list []node.Product
	for i := range products {
		sku := fmt.Sprintf("BENCH-%03d", i)
		s.skus = append(s.skus, sku)
		list = append(list, node.Product{SKU: sku, Name: sku, PriceMinor: 1000, Currency: "EUR", OnHand: 1_000_000})
	}
	body, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return os.WriteFile(s.cfg.Products, body, 0o600)
}

// chooseNamespace chooses a namespace of our own, or refuses the one in the environment if another process polls our task queues there: it
// would be given our sagas.
func (s *system) chooseNamespace(ctx context.Context) error {
	if os.Getenv("TEMPORAL_NAMESPACE") == "" {
		s.namespace = strings.ReplaceAll(s.name, "_", "-")
		s.cfg.TemporalNamespace = s.namespace
		return nil
	}
	return s.withTemporal(ctx, func(c client.Client, options client.Options) error {
		described, err := c.DescribeTaskQueue(ctx, activities.OrdersQueue, enums.TASK_QUEUE_TYPE_WORKFLOW)
		if err != nil {
			return fmt.Errorf("ask who polls Temporal's task queue %s: %w", activities.OrdersQueue, err)
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

func (s *system) withTemporal(ctx context.Context, do func(c client.Client, options client.Options) error) error {
	options, err := temporal.Options(s.log)
	if err != nil {
		return err
	}
	c, err := temporal.Dial(ctx, options, s.say)
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c, options)
}

// while runs the system and calls do once it works. It is stopped when do returns.
func (s *system) while(ctx context.Context, do func(ctx context.Context, n *node.Node) error) error {
	interrupted := ctx
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	n, err := node.Open(ctx, s.cfg, node.Options{Roles: node.AllRoles(), Develop: true, Log: s.log, Say: s.say})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		err := n.Run(ctx)
		ended <- err
		stop(errors.New("the system has stopped"))
	}()
	select {
	case <-n.Ready:
		err = do(ctx, n)
		if interrupted.Err() != nil {
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

// remove removes what was made on servers outside.
func (s *system) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var errs []error
	if s.cfg.DatabaseURL != "" {
		admin, err := url.Parse(s.cfg.DatabaseURL)
		if err != nil {
			return err // it was parsed before
		}
		admin.Path = "/postgres"
		for _, service := range node.ServiceNames() {
			errs = append(errs, database.DropPostgres(ctx, admin.String(), s.name+"_"+service))
		}
	}
	if s.cfg.RabbitMQURL != "" {
		broker := rabbit.Config{URL: s.cfg.RabbitMQURL, Prefix: s.name, Log: s.log}
		errs = append(errs, rabbit.Remove(ctx, broker, node.Subscriptions()...), rabbit.RemoveAnswers(ctx, broker, node.Sources()...))
	}
	if s.namespace != "" {
		errs = append(errs, s.withTemporal(ctx, func(c client.Client, _ client.Options) error {
			_, err := c.OperatorService().DeleteNamespace(ctx, &operatorservice.DeleteNamespaceRequest{Namespace: s.namespace})
			return err
		}))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove what is called %s from the servers: %w", s.name, err)
	}
	return nil
}
