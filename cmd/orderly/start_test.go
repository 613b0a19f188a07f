package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/node"
)

// readiness is what a process says about itself; nothing while it says nothing.
func readiness(addr string) (status int, word string) {
	response, err := http.Get("http://" + addr + "/readyz")
	if err != nil {
		return 0, ""
	}
	defer func() { _ = response.Body.Close() }()
	var body struct {
		Status string `json:"status"`
	}
	_ = json.NewDecoder(response.Body).Decode(&body)
	return response.StatusCode, body.Status
}

// as runs the program for a role, with the address that role answers on.
func (d *deployment) as(role string, set ...string) *world {
	own := *d.world
	own.env = append(append(append([]string{}, d.env...), "ORDERLY_HEALTH_ADDR="+d.health[role]), set...)
	return &own
}

// A part that is not up yet is waited for, which is said once, and found when it comes. Meanwhile the process is alive and not ready.
func TestServeWaitsForWhatIsNotUpYet(t *testing.T) {
	t.Parallel()
	parts := newRealParts(t)
	d := newDeploymentOn(t, parts)
	postgres, database := behind(t, parts.database)
	postgres.cut()
	orders := d.as("orders", "DATABASE_URL="+database)
	p := orders.launch("serve", "orders")
	eventually(t, time.Minute, "it does not say what it waits for", func() bool {
		return strings.Contains(p.printed(), "Waiting for the orders database (DATABASE_URL)")
	})
	response, err := http.Get("http://" + d.health["orders"] + "/healthz")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	said, code := orders.command("healthcheck", "orders")
	require.Equal(t, 1, code, said)
	require.Contains(t, said, "503")

	postgres.mend()
	eventually(t, time.Minute, "it does not find what has come", func() bool { return strings.Contains(p.printed(), "msg=ready") })
	require.Equal(t, 1, strings.Count(p.printed(), "Waiting for"))
	said, code = orders.command("healthcheck", "orders")
	require.Zero(t, code, said)

	postgres.cut()
	said, code = orders.command("healthcheck", "orders")
	require.Equal(t, 1, code, said)
	require.Contains(t, said, `"unavailable"`)
}

// The API takes orders without the databases it only shows things from. What they hold is shown when they have come, and a schema that is
// too old for it is not overlooked.
func TestTheAPIGoesOnWithoutWhatItOnlyShows(t *testing.T) {
	t.Parallel()
	parts := newRealParts(t)
	d := newDeploymentOn(t, parts)
	postgres, proxied := behind(t, parts.database)
	postgres.cut()
	at := realParts{database: proxied}
	d.start("sandbox", "orders", "inventory", "payments", "listeners")
	api := d.as("api", "INVENTORY_DATABASE_URL="+at.of("inventory"), "JOURNAL_DATABASE_URL="+at.of("journal"),
		"NOTIFICATIONS_DATABASE_URL="+at.of("orders")) // which is no database of mails
	p := api.launch("serve", "api")
	eventually(t, time.Minute, "it does not come up", func() bool { return strings.Contains(p.printed(), "msg=ready") })
	require.Contains(t, p.printed(), "Going on without the journal database (JOURNAL_DATABASE_URL)")
	s := d.customer()
	order := d.place(s, "pm_card_visa")
	eventually(t, time.Minute, "the order has not completed", func() bool {
		seen, err := s.Order(t.Context(), order.ID)
		return err == nil && seen.State == "completed" && len(seen.Timeline) == 0
	})
	status, word := readiness(d.health["api"])
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "degraded", word)

	postgres.mend()
	eventually(t, time.Minute, "what happened is not shown", func() bool {
		seen, err := s.Order(t.Context(), order.ID)
		return err == nil && len(seen.Timeline) == len(completedEvents)
	})
	eventually(t, time.Minute, "the older schema is not reported", func() bool {
		status, word := readiness(d.health["api"])
		return status == http.StatusOK && word == "degraded" && strings.Contains(p.printed(), "the notifications database has an older schema")
	})
}

// Two processes on one folder would each have Temporal and the databases for themselves.
func TestServeTakesItsFolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env = append(w.env, "STRIPE_API_URL=http://"+w.book, "ORDERLY_DATA="+w.data)
	said, code := w.command("migrate")
	require.Zero(t, code, said)
	first := w.launch("serve", "all")
	eventually(t, time.Minute, "the first does not come up", func() bool { return strings.Contains(first.printed(), "msg=ready") })
	second := *w
	second.env = append(append([]string{}, w.env...), "ORDERLY_API_ADDR=127.0.0.1:0", "ORDERLY_TEMPORAL_PORT=0", "ORDERLY_TEMPORAL_UI_PORT=0")
	second.requireRefusal([]string{"serve", "all"}, w.data, "in use", "ORDERLY_DATA")
	first.terminate()
}

// What happened before the listeners were ever started reaches them all the same.
func TestEventsWaitForListenersThatHaveNeverRun(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.start("sandbox", "api", "orders", "inventory", "payments")
	s := d.customer()
	order := d.place(s, "pm_card_visa")
	eventually(t, time.Minute, "the order has not completed", func() bool {
		seen, err := s.Order(t.Context(), order.ID)
		return err == nil && seen.State == "completed"
	})
	published := d.parts.open(t, "orders")
	eventually(t, time.Minute, "the events do not leave their outbox", func() bool {
		var waiting int
		require.NoError(t, published.Get(t.Context(), &waiting, `SELECT COUNT(*) FROM outbox WHERE published_at IS NULL`))
		return waiting == 0
	})
	d.start("listeners")
	d.requireCompleted(s, order.ID)
}

// Each role tidies up after itself at its start, and keeps what is still of use.
func TestEachRoleTidiesUpAfterItself(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	const outbox = `INSERT INTO outbox (subject, sequence, event_id, event_type, body, created_at, next_attempt_at, published_at)
		SELECT 's', n, 's/' || n, 'order.resumed.v1', '{}', at, at, at FROM (VALUES (1, now() - interval '4 days'), (2, now())) AS v (n, at)`
	const inbox = `INSERT INTO inbox (listener, event_id, source, subject, sequence, event_type, body, state, next_attempt_at, received_at, done_at)
		SELECT 'journal', 's/' || n, 's', 's', n, 'order.resumed.v1', '{}', 'done', at, at, at
		FROM (VALUES (1, now() - interval '31 days'), (2, now())) AS v (n, at)`
	tables := []struct{ service, table, fill string }{
		{"users", "sessions", `
			WITH who AS (INSERT INTO users (id, email, name, version, created_at, updated_at) VALUES ('u', 'u@example.com', 'U', 1, now(), now()) RETURNING id)
			INSERT INTO sessions (token_hash, user_id, created_at, expires_at)
			SELECT repeat(n, 64), id, now() - interval '2 days', at FROM who, (VALUES ('1', now() - interval '1 day'), ('2', now() + interval '1 day')) AS v (n, at)`},
		{"orders", "idempotency_keys", `
			WITH o AS (INSERT INTO orders (id, customer_id, state, total_minor, currency, payment_method, created_at, updated_at)
				VALUES ('o', 'c', 'completed', 1, 'EUR', 'm', now(), now()) RETURNING id)
			INSERT INTO idempotency_keys (customer_id, idempotency_key, fingerprint, order_id, created_at)
			SELECT 'c', n, 'f', id, at FROM o, (VALUES ('1', now() - interval '31 days'), ('2', now())) AS v (n, at)`},
	}
	for _, s := range node.Services {
		if s.Outbox {
			tables = append(tables, struct{ service, table, fill string }{s.Name, "outbox", outbox})
		}
		for _, listener := range s.Listens {
			tables = append(tables, struct{ service, table, fill string }{s.Name, "inbox", strings.ReplaceAll(inbox, "'journal'", "'"+listener.Name+"'")})
		}
	}
	for _, c := range tables {
		_, err := d.parts.open(t, c.service).Exec(t.Context(), c.fill)
		require.NoError(t, err, "%s %s", c.service, c.table)
	}
	d.start(node.AllRoles().Names()...)
	for _, c := range tables {
		db := d.parts.open(t, c.service)
		eventually(t, 30*time.Second, "nothing prunes "+c.table+" of "+c.service, func() bool {
			var left int
			require.NoError(t, db.Get(t.Context(), &left, `SELECT COUNT(*) FROM `+c.table))
			return left == 1
		})
	}
	d.stop(node.AllRoles().Names()...)
}
