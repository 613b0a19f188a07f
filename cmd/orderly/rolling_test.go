package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/demo"
)

// Two processes with the API behind a balancer are replaced one after the other, under clients who keep their connections: no request is
// refused, broken off or answered 5xx. One tells about its health on the port of the API, the other on a port of its own.
func TestReplacingTheAPILosesNoRequest(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.start("sandbox")
	ports := freePorts(t, 3)
	backends := []*backend{
		{addr: "127.0.0.1:" + ports[0], health: "127.0.0.1:" + ports[0]},
		{addr: "127.0.0.1:" + ports[1], health: "127.0.0.1:" + ports[2]},
	}
	settings := [][]string{
		{"ORDERLY_DRAIN_TIME="}, // the default
		{"ORDERLY_DRAIN_TIME=3s", "ORDERLY_HEALTH_ADDR=" + backends[1].health},
	}
	running := make([]*process, len(backends))
	for i, back := range backends {
		running[i] = d.serveAPI(back.addr, settings[i]...)
	}
	ctx, stop := context.WithCancel(t.Context())
	b, err := balance(t.Context(), backends...)
	require.NoError(t, err)
	d.api = b.addr
	s := d.customer()
	order := d.place(s, "pm_card_visa")

	var clients sync.WaitGroup
	for n := range 50 {
		clients.Go(func() {
			own := demo.NewClient("http://"+b.addr, "http://"+d.book)
			own.Token, own.HTTP.Transport = s.Token, &http.Transport{MaxIdleConnsPerHost: 1}
			for i := 0; ctx.Err() == nil; i++ {
				var err error
				if i%5 == 0 {
					_, err = own.Place(t.Context(), fmt.Sprintf("rolling-%d-%d", n, i), []demo.Line{{SKU: "MUG-BLUE", Quantity: 1}}, "pm_card_visa")
				} else {
					_, err = own.Order(t.Context(), order.ID)
				}
				if err != nil {
					b.count("a client got " + err.Error())
				}
				select {
				case <-time.After(50 * time.Millisecond): // so that connections are idle between requests
				case <-ctx.Done():
				}
			}
		})
	}
	more := func() {
		from := b.answered()
		eventually(t, time.Minute, "the clients get no answers", func() bool { return b.answered() > from+500 })
	}
	more()
	for i, back := range backends {
		require.NoError(t, running[i].cmd.Process.Signal(syscall.SIGTERM))
		running[i].wait(time.Minute)
		require.Equal(t, 0, running[i].cmd.ProcessState.ExitCode(), running[i].printed())
		require.NotZero(t, back.toldUnready(), "the balancer was not told before the port was closed")
		more()
		running[i] = d.serveAPI(back.addr, settings[i]...)
		eventually(t, 30*time.Second, "the balancer does not find the new process", back.isReady)
		more()
	}
	stop()
	clients.Wait()
	b.lock.Lock()
	defer b.lock.Unlock()
	t.Logf("%v", b.counts)
	for what, count := range b.counts {
		require.True(t, strings.HasSuffix(what, " answered"), "%d: %s; of all: %v", count, what, b.counts)
	}
}

// serveAPI starts a process with the API.
func (d *deployment) serveAPI(addr string, set ...string) *process {
	d.t.Helper()
	own := *d.world
	own.env = append(append(append([]string{}, d.env...), "ORDERLY_API_ADDR="+addr), set...)
	p := own.launch("serve", "api")
	eventually(d.t, time.Minute, "the API does not come up", func() bool { return strings.Contains(p.printed(), "msg=ready") })
	return p
}

// answered is how many requests were answered well.
func (b *balancer) answered() int {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.counts["GET answered"] + b.counts["POST answered"]
}
