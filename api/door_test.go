package api_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"example.com/orderly/api"
)

// A process that listens and has no API yet is alive, is not ready, and answers every request at once.
func TestDoor(t *testing.T) {
	t.Parallel()
	door := api.NewDoor(slog.New(slog.DiscardHandler))
	server := httptest.NewServer(door)
	t.Cleanup(server.Close)
	ask := func(path string) (status int, header http.Header, body string) {
		response, err := http.Get(server.URL + path)
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		read, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, response.Header, string(read)
	}

	status, _, body := ask("/healthz")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"status":"ok"}`, body)
	status, header, body := ask("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "1", header.Get("Retry-After"))
	require.JSONEq(t, `{"status":"starting","checks":[]}`, body)
	status, header, body = ask("/v1/products")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "1", header.Get("Retry-After"))
	require.Equal(t, "application/problem+json", header.Get("Content-Type"))
	require.Contains(t, body, `"code":"starting"`)
	require.Contains(t, body, header.Get("X-Request-ID"))

	door.Open(api.NewHealth(api.Config{Logger: slog.New(slog.DiscardHandler)}))
	status, _, body = ask("/readyz")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"status":"ready","checks":[]}`, body)
}

// Where health has a port of its own, the port of the API tells nothing about it: neither before it is open nor after it is left.
func TestAPortWithoutHealth(t *testing.T) {
	t.Parallel()
	door := api.NewDoorWithoutHealth(slog.New(slog.DiscardHandler))
	server := httptest.NewServer(door)
	t.Cleanup(server.Close)
	requireEach := func(status int, code string) {
		t.Helper()
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			response, err := http.Get(server.URL + path)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, errors.Join(err, response.Body.Close()))
			require.Equal(t, status, response.StatusCode, path)
			require.Contains(t, string(body), `"code":"`+code+`"`, path)
		}
	}
	requireEach(http.StatusServiceUnavailable, "starting")
	metrics := prometheus.NewRegistry()
	both := api.Config{Logger: slog.New(slog.DiscardHandler), Registerer: metrics, Gatherer: metrics, HealthElsewhere: true}
	door.Open(api.New(both))
	requireEach(http.StatusNotFound, "route_not_found")
	door.Leave()
	requireEach(http.StatusNotFound, "route_not_found")

	// Both ports of a process count into the same metrics.
	answer := httptest.NewRecorder()
	api.NewHealth(both).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Contains(t, answer.Body.String(), `orderly_http_requests_total{method="GET",route="unmatched",status="404"} 6`)
}

// A process that is about to stop says so, answers everything as before, and ends each connection with an answer: also that of a request
// which came before.
func TestADoorThatIsLeft(t *testing.T) {
	t.Parallel()
	door := api.NewDoor(slog.New(slog.DiscardHandler))
	asked, goOn := make(chan bool), make(chan bool)
	slow := api.Check{Name: "slow", Ping: func(context.Context) error {
		asked <- true
		<-goOn
		return nil
	}}
	door.Open(api.NewHealth(api.Config{Logger: slog.New(slog.DiscardHandler), Ready: []api.Check{slow}}))
	server := httptest.NewServer(door)
	t.Cleanup(server.Close)
	before := make(chan *http.Response)
	go func() {
		response, err := http.Get(server.URL + "/readyz")
		if err == nil {
			_ = response.Body.Close()
		}
		before <- response
	}()
	<-asked
	door.Leave()
	goOn <- true
	response := <-before
	require.NotNil(t, response)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.True(t, response.Close, "its connection would be closed later, perhaps while a request is on its way")

	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/readyz":  {http.StatusServiceUnavailable, `{"status":"stopping","checks":[]}`},
		"/healthz": {http.StatusOK, `{"status":"ok"}`},
	} {
		response, err := http.Get(server.URL + path)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, errors.Join(err, response.Body.Close()))
		require.Equal(t, want.status, response.StatusCode)
		require.JSONEq(t, want.body, string(body))
		require.True(t, response.Close, path)
	}
}
