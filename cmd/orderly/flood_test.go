package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/testenv"
)

var flood = flag.Duration("flood", 0, "how long TestAFloodOfLogIns goes on, such as 60s; it is left out without")

// floodRate is how many log-ins a second the flood asks for.
const floodRate = 200

// TestAFloodOfLogIns floods the log-in with wrong passwords, each for a new address, from one source and from 200, while customers log in
// with the right password from sources that were not seen before. It measures, so it runs alone, with -flood.
func TestAFloodOfLogIns(t *testing.T) {
	if *flood == 0 {
		t.Skip("not run: it takes minutes, and the machine for itself; -flood 60s")
	}
	for _, on := range []string{"embedded", "Redis"} {
		for _, sources := range []int{1, 200} {
			t.Run(fmt.Sprintf("%s, %d sources", on, sources), func(t *testing.T) {
				w := newWorld(t)
				if on == "Redis" {
					if os.Getenv("REDIS_URL") == "" {
						testenv.Missing(t, "REDIS_URL", "redis://127.0.0.1:6379/0")
					}
					w.env = append(w.env, "REDIS_URL="+os.Getenv("REDIS_URL"), fmt.Sprintf("ORDERLY_REDIS_PREFIX=flood%d", time.Now().UnixNano()))
				}
				w.start()
				w.flood(sources)
			})
		}
	}
}

func (w *world) flood(sources int) {
	const customers = 50
	t := w.t
	for n := range customers { // from 127.0.0.1, which is exempt
		status, _, err := w.postFrom(&http.Client{}, "/v1/users", map[string]string{
			"email": fmt.Sprintf("customer%d@example.com", n), "name": "Ada", "password": "correct horse battery"})
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, status)
	}
	clients := make([]*http.Client, sources)
	for n := range clients {
		clients[n] = clientFrom(fmt.Sprintf("127.0.1.%d", n+1))
	}
	var lock sync.Mutex
	answers, right := map[int]int{}, map[int]int{}
	var took []time.Duration
	var serial atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	tick := time.NewTicker(time.Second / floodRate)
	defer tick.Stop()
	each := *flood / customers
	for next := 0; time.Since(began) < *flood; <-tick.C {
		client := clients[int(serial.Add(1))%sources]
		all.Go(func() {
			status, _, _ := w.postFrom(client, "/v1/sessions", map[string]string{
				"email": fmt.Sprintf("unknown%d@example.com", serial.Load()), "password": "wrong horse battery"})
			lock.Lock()
			defer lock.Unlock()
			answers[status]++
		})
		if next < customers && time.Since(began) >= each/2+time.Duration(next)*each {
			n := next
			next++
			all.Go(func() {
				client := clientFrom(fmt.Sprintf("127.0.2.%d", n+1))
				asked := time.Now()
				status, body, err := w.postFrom(client, "/v1/sessions", map[string]string{
					"email": fmt.Sprintf("customer%d@example.com", n), "password": "correct horse battery"})
				lock.Lock()
				defer lock.Unlock()
				right[status]++
				took = append(took, time.Since(asked))
				if status != http.StatusCreated {
					t.Logf("customer %d after %s: %d %s %v", n, time.Since(began), status, body, err)
				}
			})
		}
	}
	all.Wait()
	slices.Sort(took)
	t.Logf("%d wrong log-ins in %s, answered %v; %d right ones, answered %v: half within %s, 95 %% within %s, the slowest %s",
		serial.Load(), time.Since(began).Round(time.Second), answers, len(took), right,
		took[len(took)/2].Round(time.Millisecond), took[len(took)*95/100].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	for _, line := range strings.Split(w.metrics(), "\n") {
		if strings.HasPrefix(line, "orderly_logins_total") || strings.HasPrefix(line, "orderly_limit") || strings.HasPrefix(line, "process_cpu_seconds_total") {
			t.Log(line)
		}
	}
	require.Equal(t, map[int]int{http.StatusCreated: customers}, right)
	require.Less(t, took[len(took)*95/100], 3*time.Second)
}

// clientFrom is a client at this address of the loopback network.
func clientFrom(address string) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}, Timeout: 5 * time.Second}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 8}}
}

func (w *world) postFrom(client *http.Client, path string, body map[string]string) (status int, answer string, err error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return 0, "", err
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+w.api+path, strings.NewReader(string(encoded)))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	given, err := io.ReadAll(response.Body)
	return response.StatusCode, string(given), err
}
