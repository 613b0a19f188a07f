package main

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/node"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/workflows"
)

var (
	outage = flag.Duration("outage", 4*time.Second, "how long TestOutages takes each part away")
	abrupt = flag.Bool("kill", false, "TestOutages ends servers with kill -9 instead of stopping them")
)

// outagePart is something that can be taken away and brought back.
type outagePart struct {
	name       string
	away, back func()
	// accepts tells whether orders are accepted without it.
	accepts bool
}

// newOutageWorld starts the system on parts that can be taken away. Where .ci/services --own lets us, servers are stopped and started;
// else proxies before them are.
func newOutageWorld(t *testing.T) (*deployment, []outagePart) {
	t.Helper()
	parts := newRealParts(t)
	control := os.Getenv("ORDERLY_TEST_SERVICES")
	if control == "" {
		t.Log("connections are cut at a proxy; .ci/services --own has servers stopped instead")
		postgres, database := behind(t, parts.database)
		broker, brokerURL := behind(t, parts.broker)
		cache, cacheURL := behind(t, parts.cache)
		temporal := newProxy(t, testenv.Temporal(t, workflows.SearchAttributes()))
		return newDeploymentOn(t, parts, "DATABASE_URL="+database, "RABBITMQ_URL="+brokerURL, "REDIS_URL="+cacheURL,
				"TEMPORAL_ADDRESS="+temporal.addr), []outagePart{
				{"PostgreSQL", postgres.cut, postgres.mend, false}, {"RabbitMQ", broker.cut, broker.mend, true},
				{"Redis", cache.cut, cache.mend, true}, {"Temporal", temporal.cut, temporal.mend, true},
			}
	}
	end := map[bool]string{true: "kill", false: "stop"}[*abrupt]
	t.Logf("servers are ended (%s) and started again; Temporal is on the same PostgreSQL", end)
	temporal := newTemporalServer(t, parts)
	to := func(verb, part string) func() {
		return func() {
			said, err := exec.Command(control, verb, part).CombinedOutput()
			require.NoError(t, err, "%s %s: %s", verb, part, said)
		}
	}
	all := []outagePart{
		{"PostgreSQL", to(end, "postgres"), to("start", "postgres"), false}, {"RabbitMQ", to(end, "rabbitmq"), to("start", "rabbitmq"), true},
		{"Redis", to(end, "redis"), to("start", "redis"), true}, {"Temporal", temporal.stop, temporal.start, true},
	}
	if *abrupt {
		all[3].away = temporal.kill
	}
	return newDeploymentOn(t, parts, "TEMPORAL_ADDRESS="+temporal.addr), all
}

// PostgreSQL, RabbitMQ, Redis and Temporal go away in turn while orders come in, and come back. Every client gets a clean answer in
// time, and every order that was accepted completes once.
func TestOutages(t *testing.T) {
	t.Parallel()
	d, parts := newOutageWorld(t)
	d.startAll()
	drained := d.drained()
	for _, part := range parts {
		l := d.newLoad()
		l.pause = time.Second // as Retry-After says
		stock, err := l.shop.Available(t.Context())
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		// Slowly enough that what is measured is the outage, not how much the machine can do.
		l.clients.Go(func() { l.steadily(ctx, 250*time.Millisecond) })
		eventually(t, time.Minute, "no orders come in", func() bool { return l.count() >= 10 })
		part.away()
		before := l.count()
		select {
		case <-time.After(*outage):
		case <-ctx.Done():
		}
		during := l.count() - before
		part.back()
		returned := time.Now()
		eventually(t, 30*time.Second, "no orders come in again", func() bool { return l.count() > before+during+10 })
		stop()
		l.clients.Wait()
		after := func() time.Duration { return time.Since(returned).Round(100 * time.Millisecond) }
		lastAnswer, reached := after(), map[string]time.Duration{}
		require.Eventually(t, func() bool {
			for _, stage := range drained() {
				if _, before := reached[stage]; !before {
					reached[stage] = after()
				}
			}
			return len(reached) == drainStages
		}, 3*time.Minute+2**outage, 50*time.Millisecond, "not everything is done")
		t.Logf("%s away for %s: %d orders accepted meanwhile; after its return the last order was placed at %s; reached at: %v; in all %s",
			part.name, *outage, during, lastAnswer, reached, l.said())
		l.requireAllCompleted(stock["MUG-BLUE"], time.Minute)
		// The few that are under way at the moment of the cut may get through.
		require.Equal(t, part.accepts, during > 5, "orders accepted without %s: %d", part.name, during)
		if part.accepts {
			require.Empty(t, l.answers, "a part that can be done without for a while was missed by customers")
		}
		for answer := range l.answers {
			require.True(t, strings.HasPrefix(answer, "503"), "customers got %q", answer)
		}
		require.Less(t, l.slowest, 6*time.Second)
	}
	d.stop(append(node.AllRoles().Names(), "sandbox")...)
}

// drainStages is how many stages drained tells of.
const drainStages = 3

// drained tells what of this is true: every order has ended, every event has left its outbox, every listener has done what it is for.
func (d *deployment) drained() func() (reached []string) {
	d.t.Helper()
	databases := map[string]*database.DB{}
	for _, service := range node.ServiceNames() {
		databases[service] = d.parts.open(d.t, service)
	}
	ask := func(service, query string) func() int {
		db := databases[service]
		return func() (count int) {
			if err := db.Get(d.t.Context(), &count, query); err != nil {
				return -1 // the server has only just come back
			}
			return count
		}
	}
	open := ask("orders", `SELECT COUNT(*) FROM orders WHERE state IN ('pending', 'confirmed')`)
	ended := ask("orders", `SELECT COUNT(*) FROM orders WHERE state NOT IN ('pending', 'confirmed')`)
	waiting, announced := map[string]func() int{}, map[string]func() int{}
	for _, service := range node.Services {
		if service.Outbox {
			waiting[service.Name] = ask(service.Name, `SELECT COUNT(*) FROM outbox WHERE published_at IS NULL`)
			announced[service.Name] = ask(service.Name, `SELECT COUNT(*) FROM outbox`)
		}
	}
	journaled := ask("journal", `SELECT COUNT(*) FROM inbox WHERE state = 'done'`)
	mailed := ask("notifications", `SELECT COUNT(*) FROM mails WHERE subject IN (SELECT subject FROM inbox WHERE source = 'orders')`)
	unhandled := ask("notifications", `SELECT COUNT(*) FROM inbox WHERE state <> 'done'`)
	// In the order of the flow, so that nothing moves from what is looked at later to what was looked at before.
	return func() (reached []string) {
		if open() != 0 {
			return nil
		}
		events := 0
		for service, left := range waiting {
			if left() != 0 {
				return []string{"orders ended"}
			}
			events += announced[service]()
		}
		if journaled() != events || unhandled() != 0 || mailed() != ended() {
			return []string{"orders ended", "outboxes empty"}
		}
		return []string{"orders ended", "outboxes empty", "all done"}
	}
}
