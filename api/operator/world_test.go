package operator_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"example.com/orderly/api"
	"example.com/orderly/api/operator"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/limit"
	"example.com/orderly/internal/operators"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/internal/users"
)

var shell = operators.Actor{Who: "cli:root", Door: "cli"}

// world is the operators' port with a users database behind it.
type world struct {
	t         *testing.T
	operators *operators.Service
	people    *database.DB
	handler   *api.API
	log       *bytes.Buffer
	metrics   *prometheus.Registry

	mu sync.Mutex
	at time.Time
}

func setup(t *testing.T, limits ...api.Limits) *world {
	t.Helper()
	w := &world{t: t, log: &bytes.Buffer{}, metrics: prometheus.NewRegistry(), at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.people = testenv.SQLite(t, "users", append(users.Migrations(), operators.Migrations())...)
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.operators = operators.New(w.people, operators.Options{Now: w.now, Log: log, Metrics: operators.NewMetrics(w.metrics)})
	edge := api.Config{Registerer: w.metrics, Gatherer: w.metrics, Logger: log, Now: w.now}
	for _, l := range limits {
		edge.Limits, edge.Limiter = l, limit.New(limit.Options{Now: w.now})
	}
	w.handler = operator.New(operator.Config{Operators: w.operators, Edge: edge})
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) move(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) field(name string) string {
	var fields map[string]any
	if json.Unmarshal([]byte(r.body), &fields) != nil {
		return ""
	}
	text, _ := fields[name].(string)
	return text
}

// do sends a request; token may be empty.
func (w *world) do(method, path, body, token string) reply {
	w.t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, request)
	read, err := io.ReadAll(answer.Body)
	require.NoError(w.t, err)
	return reply{answer.Code, answer.Header(), string(read)}
}

func (w *world) code(secret string) string {
	w.t.Helper()
	code, err := totp.GenerateCode(secret, w.now())
	require.NoError(w.t, err)
	return code
}

func requireProblem(t *testing.T, r reply, status int, code string) {
	t.Helper()
	require.Equal(t, status, r.status, r.body)
	require.Equal(t, code, r.field("code"), r.body)
	require.Equal(t, "application/problem+json", r.header.Get("Content-Type"))
	require.NotEmpty(t, r.header.Get("X-Request-ID"))
}
