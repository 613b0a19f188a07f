package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/testenv"
)

// What dev prints is what a newcomer does first: the addresses answer, and the line places an order as it stands.
func TestGreeting(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("not run: install curl")
	}
	w := newWorld(t)
	p := w.start()
	var line string
	eventually(t, 10*time.Second, "no curl line was printed", func() bool {
		for printed := range strings.Lines(p.printed()) {
			if strings.HasPrefix(printed, "curl ") {
				line = printed
			}
		}
		return line != ""
	})
	out, err := exec.Command("sh", "-c", line).CombinedOutput()
	require.NoError(t, err, string(out))
	var order demo.Order
	require.NoError(t, json.Unmarshal(out, &order), string(out))
	require.Equal(t, "completed", order.State)

	for _, url := range []string{"http://" + w.api + "/readyz", "http://" + w.book + "/book", "http://" + w.setting("ORDERLY_TEMPORAL_UI_PORT")} {
		require.Contains(t, p.printed(), strings.TrimSuffix(strings.TrimSuffix(url, "/readyz"), "/book"))
		response, err := http.Get(url)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, url)
	}
}

// The demo on a running system, as a program reads it; and what /metrics says afterwards.
func TestDemo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	profiles := "127.0.0.1:" + freePorts(t, 1)[0]
	w.env = append(w.env, "ORDERLY_PPROF_ADDR="+profiles)
	w.start()
	w.demo()
	response, err := http.Get("http://" + profiles + "/debug/pprof/heap?debug=1")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	figures := w.metrics()
	for _, metric := range []string{
		`orderly_orders_ended_total{reason="",state="completed"} 4`,
		`orderly_orders_ended_total{reason="out_of_stock",state="rejected"} 1`,
		`orderly_step_duration_seconds_count{outcome="no",step="payments.authorize"} 1`,
		`orderly_step_duration_seconds_count{outcome="yes",step="payments.capture"} 4`,
		`orderly_outbox_backlog{source="orders"} 0`,
		`orderly_outbox_oldest_seconds{source="payments"} 0`,
		`orderly_inbox_events{listener="notifications",state="dead"} 0`,
		`orderly_inbox_events{listener="journal",state="pending"} 0`,
		`orderly_cache_requests_total{cache="profile",result="hit"}`,
		`orderly_cache_requests_total{cache="session",result="hit"}`,
		`orderly_http_requests_total{`,
		`orderly_database_retries_total{database="orders"} `,
		`orderly_database_statements_total{database="payments"} `,
		`orderly_orders_attention{attention="parked"} 0`,
	} {
		require.Contains(t, figures, metric)
	}
}

// demo runs the demo on the running system and checks what it prints.
func (w *world) demo() {
	w.t.Helper()
	d := w.launch("demo", "--json", "--url", "http://"+w.api, "--sandbox-url", "http://"+w.book)
	d.wait(2 * time.Minute)
	require.Equal(w.t, 0, d.cmd.ProcessState.ExitCode(), d.printed())
	var outcomes []demo.Outcome
	for line := range strings.Lines(d.printed()) {
		if strings.HasPrefix(line, "{") {
			var o demo.Outcome
			require.NoError(w.t, json.Unmarshal([]byte(line), &o))
			outcomes = append(outcomes, o)
		}
	}
	require.Len(w.t, outcomes, len(demo.Scenarios))
	for i, s := range demo.Scenarios {
		require.Empty(w.t, s.Differences(outcomes[i]))
	}
}

func (w *world) metrics() string {
	w.t.Helper()
	response, err := http.Get("http://" + w.api + "/metrics")
	require.NoError(w.t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	return string(body)
}

// ^C in a terminal reaches go run and the program at the same time.
func TestInterruptUnderGoRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.binary = "go"
	p := w.launchIn(".", "run", ".", "dev", "--data", w.data)
	p.awaitReady()
	require.NoError(t, syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT))
	p.wait(time.Minute)
	eventually(t, 30*time.Second, "processes are left behind", func() bool { return len(w.processes()) == 0 })
}

// Temporal may come minutes after everything else. Orders are taken meanwhile, and go on by themselves when it is there.
func TestOrdersWaitForTemporal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arrived, slow := filepath.Join(t.TempDir(), "arrived"), filepath.Join(t.TempDir(), "temporal")
	script := "#!/bin/sh\nif [ \"$1\" != --version ]; then while [ ! -e " + arrived + " ]; do sleep 0.1; done; fi\n" +
		"exec " + testenv.TemporalCLI(t) + " \"$@\"\n"
	require.NoError(t, os.WriteFile(slow, []byte(script), 0o700))
	w.env = append(w.env, "TEMPORAL_CLI="+slow)
	p := w.launch("dev", "--data", w.data)
	require.Contains(t, <-p.lines, "API")

	s := w.customer()
	order := w.place(s, "pm_card_visa")
	require.Equal(t, "pending", order.State)
	response, err := http.Get("http://" + w.api + "/readyz")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode, "an outage of Temporal must not take the API out of service")

	require.NoError(t, os.WriteFile(arrived, nil, 0o600))
	w.requireCompleted(s, order.ID)
	p.terminate()
}
