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
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/testenv"
)

// Two processes with the API behind a balancer are replaced one after the other, under clients who keep their connections: no request is
// refused, broken off or answered 5xx.
func TestReplacingTheAPILosesNoRequest(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.start("sandbox")
	var addrs []string
	for _, port := range freePorts(t, 2) {
		addrs = append(addrs, "127.0.0.1:"+port)
	}
	running := make([]*process, len(addrs))
	for i, addr := range addrs {
		running[i] = d.serveAPI(addr)
	}
	ctx, stop := context.WithCancel(t.Context())
	b, err := balance(t.Context(), addrs...)
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
	for i, addr := range addrs {
		require.NoError(t, running[i].cmd.Process.Signal(syscall.SIGTERM))
		running[i].wait(time.Minute)
		require.Equal(t, 0, running[i].cmd.ProcessState.ExitCode(), running[i].printed())
		more()
		running[i] = d.serveAPI(addr)
		eventually(t, 30*time.Second, "the balancer does not find the new process", b.backends[i].isReady)
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

// serveAPI starts a process with the API, with the drain time it has by default.
func (d *deployment) serveAPI(addr string) *process {
	d.t.Helper()
	own := *d.world
	own.env = append(append([]string{}, d.env...), "ORDERLY_API_ADDR="+addr, "ORDERLY_DRAIN_TIME=")
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

// Each other role is replaced, the new process first and then an end to the old one, while a hundred orders are under way: all complete,
// and none had to wait for a time-out.
func TestReplacingARoleTimesNothingOut(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.startAll()
	s := d.customer()
	book := d.parts.open(t, "orders")
	var all []string
	for _, role := range []string{"listeners", "inventory", "payments", "orders"} {
		old := d.running[role]
		d.health[role] = "127.0.0.1:" + freePorts(t, 1)[0]
		d.start(role)
		var placing sync.WaitGroup
		ids := make(chan string, 100)
		for n := range 10 {
			placing.Go(func() {
				for i := range 10 {
					order, err := s.Place(t.Context(), fmt.Sprintf("%s-%d-%d", role, n, i), []demo.Line{{SKU: "MUG-BLUE", Quantity: 1}}, "pm_card_visa")
					if err == nil {
						ids <- order.ID
					}
				}
			})
		}
		eventually(t, time.Minute, "no orders come", func() bool { return len(ids) > 50 })
		require.NoError(t, old.cmd.Process.Signal(syscall.SIGTERM))
		var open int
		require.NoError(t, book.Get(t.Context(), &open, `SELECT count(*) FROM orders WHERE state IN ('pending', 'confirmed')`))
		t.Logf("%d orders are under way when %s is told to stop", open, role)
		placing.Wait()
		close(ids)
		for id := range ids {
			all = append(all, id)
		}
		old.wait(time.Minute)
		require.Equal(t, 0, old.cmd.ProcessState.ExitCode(), old.printed())
	}
	require.Len(t, all, 400)
	eventually(t, 2*time.Minute, "orders are left open", func() bool {
		var open int
		err := book.Get(t.Context(), &open, `SELECT count(*) FROM orders WHERE state IN ('pending', 'confirmed')`)
		return err == nil && open == 0
	})
	temporal := d.dial(testenv.Temporal(t, nil))
	timeouts := map[string]int{}
	for _, id := range all {
		for _, what := range timeOuts(d.history(temporal, id)) {
			timeouts[what]++
		}
		order, err := s.Order(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "completed", order.State)
	}
	require.Empty(t, timeouts)
	d.stop("api", "orders", "inventory", "payments", "listeners", "sandbox")
}

// timeOuts are what timed out in a history: workflow tasks, but for those that waited for a sticky queue, and attempts of activities.
func timeOuts(past *history.History) (found []string) {
	names := map[int64]string{}
	for _, event := range past.GetEvents() {
		if scheduled := event.GetActivityTaskScheduledEventAttributes(); scheduled != nil {
			names[event.GetEventId()] = scheduled.GetActivityType().GetName()
		}
		if out := event.GetWorkflowTaskTimedOutEventAttributes(); out != nil && out.GetTimeoutType() != enums.TIMEOUT_TYPE_SCHEDULE_TO_START {
			found = append(found, "workflow task "+out.GetTimeoutType().String())
		}
		if out := event.GetActivityTaskTimedOutEventAttributes(); out != nil {
			found = append(found, names[out.GetScheduledEventId()])
		}
		if began := event.GetActivityTaskStartedEventAttributes(); began.GetLastFailure().GetTimeoutFailureInfo() != nil {
			found = append(found, names[began.GetScheduledEventId()])
		}
	}
	return found
}
