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
