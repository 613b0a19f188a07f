package baseline_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"example.com/orderly/cmd/orderly-bench/baseline"
	"example.com/orderly/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// A count is of those started after Expect, however they are started.
func TestEmptyWorkflow(t *testing.T) {
	t.Parallel()
	c, err := client.Dial(client.Options{HostPort: testenv.Temporal(t, nil)})
	require.NoError(t, err)
	defer c.Close()
	e := baseline.NewEmpty(c, "empty")
	for queue, register := range e.Workers() {
		w := worker.New(c, queue, worker.Options{})
		register(w)
		require.NoError(t, w.Start())
		defer w.Stop()
	}
	for round, eager := range []bool{false, true, false} {
		for _, steps := range []baseline.Steps{baseline.NoSteps, baseline.Activities, baseline.LocalActivities} {
			const n = 20
			e.Expect(n)
			for i := range n {
				_, err := e.Start(t.Context(), fmt.Sprintf("empty-%d-%d-%s", round, i, rand.Text()), eager, steps)
				require.NoError(t, err)
			}
			require.NoError(t, e.Await(t.Context()))
		}
	}

	e.Expect(2)
	run, err := e.Start(t.Context(), "empty-alone-"+rand.Text(), true, baseline.NoSteps)
	require.NoError(t, err)
	require.NoError(t, run.Get(t.Context(), nil))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, e.Await(ctx), "1 of 2 empty workflows have ended")
}

func TestBroker(t *testing.T) {
	t.Parallel()
	url := os.Getenv("RABBITMQ_URL")
	if url == "" {
		testenv.Missing(t, "RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/")
	}
	b, err := baseline.OpenBroker(url, "orderly_test_baseline_"+rand.Text())
	require.NoError(t, err)
	for _, count := range []int{1, 1234, 100} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		took, err := b.Carry(ctx, count, []byte(`{"id":"x"}`))
		cancel()
		require.NoError(t, err)
		require.Positive(t, took)
	}
	require.NoError(t, b.Close())
}

func TestBrokerThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := baseline.OpenBroker("amqp://guest:secret@127.0.0.1:1/", "q")
	require.ErrorContains(t, err, "RABBITMQ_URL")
	require.NotContains(t, err.Error(), "secret")
}

func TestHandler(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer func() { _ = rdb.Close() }()
	handler := baseline.NewHandler(rdb, "key")
	get := func() *httptest.ResponseRecorder {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
		return recorder
	}
	require.Equal(t, http.StatusServiceUnavailable, get().Code)
	require.NoError(t, rdb.Set(t.Context(), "key", `{"a":1}`, 0).Err())
	require.Equal(t, http.StatusOK, get().Code)
	require.Equal(t, `{"a":1}`, get().Body.String())
}
