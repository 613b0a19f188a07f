package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.temporal.io/sdk/client"

	"example.com/orderly/activities"
	"example.com/orderly/events/rabbit"
	"example.com/orderly/internal/embedded"
	"example.com/orderly/internal/node/temporal"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/system"
	"example.com/orderly/internal/users"
)

// namespace is that of Temporal.
type namespace struct {
	client   client.Client
	options  client.Options
	orders   *orders.Service
	endSagas bool
}

// withNamespace calls do with Temporal's namespace: of the server outside, or of the development server that is kept in the data folder, and nil
// where there is none.
func withNamespace(ctx context.Context, p process, do func(ctx context.Context, namespace *namespace) error) error {
	outside := p.cfg.TemporalAddress != ""
	if !outside {
		if _, err := os.Stat(filepath.Join(p.cfg.Data, "temporal.db")); errors.Is(err, os.ErrNotExist) {
			return do(ctx, nil)
		}
		lock, err := embedded.LockDir(p.cfg.Data)
		if err != nil {
			return err
		}
		p.closers.Add(lock.Unlock)
	}
	port, _ := strconv.Atoi(p.cfg.TemporalPort) // checked with the other settings
	uiPort, _ := strconv.Atoi(p.cfg.TemporalUIPort)
	cfg := temporal.Config{
		External: outside, Namespace: p.cfg.TemporalNamespace, Dir: p.cfg.Data, Port: port, UIPort: uiPort, Log: p.log, Say: p.say,
	}
	return temporal.With(ctx, cfg, func(ctx context.Context, c client.Client, options client.Options) error {
		return do(ctx, &namespace{client: c, options: options})
	})
}

func (n *namespace) name() string {
	return "Temporal's namespace " + n.options.Namespace + " at " + n.options.HostPort
}

func (n *namespace) serves(ctx context.Context) (system.ID, error) {
	found, err := temporal.Serves(ctx, n.client)
	if err == nil && !found.Free() && found.System == "" {
		err = errors.New("the workflow orderly-system is another program's; name another namespace (TEMPORAL_NAMESPACE)")
	}
	return found.System, err
}

// idle is an error while a worker polls, and while there are open sagas of orders that we do not know: our workers would take and hold stock and money
// for them, and never come to an end.
func (n *namespace) idle(ctx context.Context, say func(line string)) error {
	polled, err := temporal.PolledBy(ctx, n.client, append(queues(), activities.InlineQueue))
	if err != nil {
		return err
	}
	if polled != "" {
		return fmt.Errorf("%s: stop all processes of that system, and try again two minutes later", polled)
	}
	var open, unknown []string
	if err := temporal.OpenSagas(ctx, n.client, n.options.Namespace, func(ids []string) error {
		strangers, err := n.orders.Unknown(ctx, ids)
		open, unknown = append(open, ids...), append(unknown, strangers...)
		return err
	}); err != nil {
		return err
	}
	say(fmt.Sprintf("%s has %d open sagas, %d of them of orders that the orders database does not know.", n.name(), len(open), len(unknown)))
	switch {
	case len(unknown) == 0:
		return nil
	case !n.endSagas:
		return fmt.Errorf("the orders database does not know the orders of %d open sagas, such as %s, and our processes would hold stock and money for them: "+
			"restore the databases that know them, or run orderly adopt with --end-sagas, too, which terminates these sagas", len(unknown), unknown[0])
	}
	for _, order := range unknown {
		if err := temporal.EndSaga(ctx, n.client, order); err != nil {
			return fmt.Errorf("terminate the saga of order %s: %w", order, err)
		}
		say("Terminated the saga of order " + order + ": what the provider holds for it is to be given back there.")
	}
	return nil
}

func (n *namespace) adopt(ctx context.Context, ours, giveUp system.ID) error {
	return temporal.Adopt(ctx, n.client, n.options, ours, giveUp)
}

// prefix is that in RabbitMQ.
type prefix struct{ broker rabbit.Config }

func newPrefix(p process, ours system.ID) prefix {
	return prefix{rabbit.Config{URL: p.cfg.RabbitMQURL, Prefix: p.cfg.RabbitMQPrefix, System: ours, Name: "orderly adopt", Log: p.log}}
}

func (r prefix) name() string { return "The prefix " + r.broker.Prefix + " of RabbitMQ" }

func (r prefix) serves(ctx context.Context) (system.ID, error) { return rabbit.Serves(ctx, r.broker) }

func (r prefix) idle(ctx context.Context, _ func(line string)) error {
	queues, err := rabbit.Consumed(ctx, r.broker, Subscriptions()...)
	if err == nil && len(queues) > 0 {
		err = fmt.Errorf("a process consumes from %s: stop all processes of that system first", strings.Join(queues, ", "))
	}
	return err
}

func (r prefix) adopt(ctx context.Context, _, giveUp system.ID) error {
	return rabbit.Adopt(ctx, r.broker, giveUp)
}

// cached is the prefix in Redis.
type cached struct {
	cache  *users.Cache
	prefix string
}

func (c cached) name() string { return "Redis (REDIS_URL) with its keys " + c.prefix + "*" }

func (c cached) serves(ctx context.Context) (system.ID, error) { return c.cache.Serves(ctx) }

func (cached) idle(context.Context, func(line string)) error { return nil }

func (c cached) adopt(ctx context.Context, _, giveUp system.ID) error {
	return c.cache.Adopt(ctx, giveUp)
}
