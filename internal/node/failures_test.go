package node

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"example.com/orderly/activities"
	"example.com/orderly/api"
	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/journal"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/internal/users"
)

// Start-up, a request, a step, the relay, a listener and readiness take each SQLSTATE for the same: all of them read the one table.
func TestEachSQLStateMeansTheSameToAll(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "internal/database/testdata/sqlstates.txt")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		code, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if code == "#" {
			continue
		}
		t.Run(code+" "+name, func(t *testing.T) {
			t.Parallel()
			running := testenv.NewFailingPostgres(t, nil)
			running.RefuseStatements(code, "because")
			fails := newFailing(t, running)

			means := fault.CodeOf(fails.relay())
			require.Contains(t, []string{database.CodeUnavailable, database.CodeNeedsOperator, "internal"}, means)
			status, said := fails.request()
			if means == "internal" {
				require.Equal(t, http.StatusInternalServerError, status)
			} else {
				require.Equal(t, http.StatusServiceUnavailable, status)
			}
			require.Equal(t, means, said)
			require.Equal(t, means, fails.step())
			require.Equal(t, means, fault.CodeOf(fails.listener()))
			require.Equal(t, http.StatusServiceUnavailable, fails.readiness())

			starting := testenv.NewFailingPostgres(t, nil)
			starting.RefuseLogins(code, "because")
			require.Equal(t, means == database.CodeUnavailable, waits(t, starting), "start-up waits")
			require.Equal(t, http.StatusServiceUnavailable, newFailing(t, starting).readiness())
			starting.RefuseLogins("", "")
			starting.RefuseStatements(code, "because")
			require.Equal(t, means == database.CodeUnavailable, waits(t, starting), "start-up waits for the schema")
		})
	}
}

// failing is everything that meets a database, on one that refuses each statement.
type failing struct {
	t   *testing.T
	on  *store
	api *api.API
}

func newFailing(t *testing.T, server *testenv.FailingPostgres) failing {
	t.Helper()
	db, err := database.Later("orders", server.URL())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	on := &store{service: "orders", db: db, box: outbox.New(db, "orders", time.Now)}
	metrics := prometheus.NewRegistry()
	people := users.NewCache(nil, users.New(on.box, time.Now), users.CacheOptions{})
	t.Cleanup(people.Close)
	return failing{t: t, on: on, api: api.New(api.Config{
		Users: people, Ready: []api.Check{{Name: "orders database", Ping: on.ping(true, "")}},
		Registerer: metrics, Gatherer: metrics, Logger: slog.New(slog.DiscardHandler),
	})}
}

func (f failing) get(path string) *httptest.ResponseRecorder {
	request, answer := httptest.NewRequest(http.MethodGet, path, nil), httptest.NewRecorder()
	request.Header.Set("Authorization", "Bearer "+strings.Repeat("A", 43))
	f.api.ServeHTTP(answer, request)
	return answer
}

func (f failing) request() (status int, code string) {
	answer := f.get("/v1/users/me")
	var problem struct {
		Code string `json:"code"`
	}
	require.NoError(f.t, json.Unmarshal(answer.Body.Bytes(), &problem))
	return answer.Code, problem.Code
}

func (f failing) readiness() (status int) { return f.get("/readyz").Code }

// step is the type of the error that Temporal is given. None of them is final.
func (f failing) step() string {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	activities.RegisterInventory(env, inventory.New(f.on.box))
	_, err := env.ExecuteActivity("inventory.reserve", inventory.Reservation{
		Key: "order-1:reserve", OrderID: "1", Lines: []inventory.Quantity{{SKU: "mug", Quantity: 1}},
	})
	var application *temporal.ApplicationError
	require.ErrorAs(f.t, err, &application)
	require.False(f.t, application.NonRetryable())
	return application.Type()
}

func (f failing) relay() error {
	return f.on.box.Failed(f.t.Context(), outbox.Pending{ID: "orders/1/1"}, errors.New("no"), time.Second)
}

func (f failing) listener() error {
	listener := journal.New(f.on.db).Listener()
	inbox, err := listen.Open(f.t.Context(), f.on.db.Pool(), listen.PostgreSQL, []listen.Listener{listener}, listen.Options{})
	require.NoError(f.t, err)
	event, err := events.New("orders", "1", 1, time.Now(), events.OrderResumed{OrderID: "1"})
	require.NoError(f.t, err)
	message, err := listen.Encode(event)
	require.NoError(f.t, err)
	return inbox.Store(f.t.Context(), listener.Name, []listen.Message{message})
}

// waits opens the database as a process does that needs it, and as one that can do without, and reports whether they wait and go on.
func waits(t *testing.T, server *testenv.FailingPostgres) bool {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cfg := config.Config{OwnDatabases: map[string]string{"orders": server.URL()}}
	var waited atomic.Bool
	_, _, err := openDatabase(ctx, cfg, "orders", Services[0].Migrations(), opening{wait: true}, func(said string) {
		require.Contains(t, said, "because")
		waited.Store(true)
		stop()
	})
	require.Error(t, err)
	if !waited.Load() {
		require.ErrorContains(t, err, "ORDERS_DATABASE_URL: ")
		require.ErrorContains(t, err, "because")
	}
	db, there, err := openDatabase(t.Context(), cfg, "orders", Services[0].Migrations(), opening{}, func(string) {})
	require.False(t, there)
	require.Equal(t, waited.Load(), err == nil, "%v", err)
	if err == nil {
		require.NoError(t, db.Close())
	}
	return waited.Load()
}

// A pooler that refuses without saying why is waited for, but not without end.
func TestAPoolerThatGoesOnRefusingIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	refusal := pooler{patience: time.Millisecond}
	err := errors.Join(fault.New(fault.Unavailable, database.CodeUnavailable, "no"), database.ErrPooler)
	require.Equal(t, fault.Unavailable, fault.KindOf(refusal.bounded(err)))
	require.Eventually(t, func() bool { return fault.KindOf(refusal.bounded(err)) == fault.Internal }, 10*time.Second, time.Millisecond)
	require.NoError(t, refusal.bounded(nil))
	require.Equal(t, fault.Unavailable, fault.KindOf(refusal.bounded(err)), "it has answered meanwhile")
}
