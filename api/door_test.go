package api_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/api"
)

// A process that listens and has nothing to answer with yet is alive, is not ready, and lets nobody hang.
func TestDoor(t *testing.T) {
	t.Parallel()
	door := api.NewDoor(slog.New(slog.DiscardHandler))
	server := httptest.NewServer(door)
	t.Cleanup(server.Close)
	ask := func(path string) (*http.Response, string) {
		response, err := http.Get(server.URL + path)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response, string(body)
	}

	response, body := ask("/healthz")
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.JSONEq(t, `{"status":"ok"}`, body)
	response, body = ask("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.Equal(t, "1", response.Header.Get("Retry-After"))
	require.JSONEq(t, `{"status":"starting","checks":[]}`, body)
	response, body = ask("/v1/products")
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.Equal(t, "1", response.Header.Get("Retry-After"))
	require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
	require.Contains(t, body, `"code":"starting"`)
	require.Contains(t, body, response.Header.Get("X-Request-ID"))

	door.Open(api.NewHealth(api.Config{Logger: slog.New(slog.DiscardHandler)}))
	response, body = ask("/readyz")
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.JSONEq(t, `{"status":"ready","checks":[]}`, body)
}
