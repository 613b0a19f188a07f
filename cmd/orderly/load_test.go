package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/node"
	"example.com/orderly/internal/sandbox"
)

var killOrders = flag.Int("orders", 60, "how many orders TestKillEachProcess places")

// load is customers who place orders and come back with the same key until they have got a 202.
type load struct {
	w     *world
	shop  *demo.Client
	pause time.Duration // before a client comes back

	lock     sync.Mutex
	accepted []string
	answers  map[string]int // what was answered instead of a 202, and how often
	slowest  time.Duration
	clients  sync.WaitGroup
}

func (w *world) newLoad() *load {
	return &load{w: w, shop: w.customer(), pause: 200 * time.Millisecond, answers: map[string]int{}}
}

var statusOf = regexp.MustCompile(`: (\d{3} [A-Za-z ]+)`)

// place places one order, however long it takes.
func (l *load) place(ctx context.Context, key string) {
	for {
		began := time.Now()
		order, err := l.shop.Place(ctx, key, []demo.Line{{SKU: "MUG-BLUE", Quantity: 1}}, "pm_card_visa")
		took := time.Since(began)
		l.lock.Lock()
		l.slowest = max(l.slowest, took)
		if err == nil {
			l.accepted = append(l.accepted, order.ID)
			l.lock.Unlock()
			return
		}
		said := "no answer"
		if found := statusOf.FindStringSubmatch(err.Error()); found != nil {
			said = strings.TrimSpace(found[1])
		}
		l.answers[said]++
		l.lock.Unlock()
		select {
		case <-time.After(l.pause):
		case <-ctx.Done():
			return
		}
	}
}

// steadily places an order every so often until ctx ends; those under way then are finished.
func (l *load) steadily(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.clients.Go(func() { l.place(context.WithoutCancel(ctx), fmt.Sprintf("steady-%d", n)) })
		}
	}
}

func (l *load) count() int {
	l.lock.Lock()
	defer l.lock.Unlock()
	return len(l.accepted)
}

func (l *load) said() string {
	l.lock.Lock()
	defer l.lock.Unlock()
	var words []string
	for answer, times := range l.answers {
		words = append(words, fmt.Sprintf("%dx %s", times, answer))
	}
	sort.Strings(words)
	return fmt.Sprintf("%d accepted, slowest answer %s, instead of a 202: [%s]",
		len(l.accepted), l.slowest.Round(time.Millisecond), strings.Join(words, ", "))
}

// requireAllCompleted waits until every accepted order has completed with each event once and its mail, and compares provider's book and
// stock: stock is what there was before.
func (l *load) requireAllCompleted(stock int64, longest time.Duration) {
	t := l.w.t
	t.Helper()
	l.clients.Wait()
	seen := map[string]bool{}
	for _, id := range l.accepted {
		require.False(t, seen[id], "order %s was accepted under two keys", id)
		seen[id] = true
	}
	deadline, ids := time.Now().Add(longest), make(chan string)
	var wrong errgroup.Group
	for range 4 {
		wrong.Go(func() (err error) {
			for id := range ids { // all of them, so that the sender is not blocked
				err = errors.Join(err, l.awaitCompleted(id, deadline))
			}
			return err
		})
	}
	for id := range seen {
		ids <- id
	}
	close(ids)
	require.NoError(t, wrong.Wait())

	charges, err := l.shop.Book(t.Context(), "")
	require.NoError(t, err)
	sum := map[string]sandbox.Charge{}
	for _, c := range charges {
		of := sum[c.OrderID]
		of.AuthorizedMinor += c.AuthorizedMinor
		of.CapturedMinor += c.CapturedMinor
		of.RefundedMinor += c.RefundedMinor
		of.Charges += c.Charges
		sum[c.OrderID] = of
	}
	for id := range seen {
		require.Equal(t, sandbox.Charge{CapturedMinor: 1000, Charges: 1}, sum[id], "the provider's book of order %s", id)
	}
	left, err := l.shop.Available(t.Context())
	require.NoError(t, err)
	require.Equal(t, stock-int64(len(seen)), left["MUG-BLUE"])
}

// awaitCompleted returns when the order has completed with each event once and its one mail.
func (l *load) awaitCompleted(id string, deadline time.Time) error {
	for {
		order, err := l.shop.Order(l.w.t.Context(), id)
		done := err == nil && order.State == "completed" && len(order.Timeline) >= len(completedEvents) && len(order.Mails) > 0
		if done && slices.Equal(completedEvents, demo.TypesOf(order)) && len(order.Mails) == 1 {
			return nil
		}
		if done || time.Now().After(deadline) {
			return fmt.Errorf("order %s: %+v: %w", id, order, cmp.Or(err, errors.New("it has not completed with each event and its mail once")))
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-l.w.t.Context().Done():
			return l.w.t.Context().Err()
		}
	}
}

// While orders come in, each process in turn is killed with -9 and started again. Every order that was accepted completes, charged
// once, with each event and its mail once.
func TestKillEachProcess(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.startAll()
	l := d.newLoad()
	stock, err := l.shop.Available(t.Context())
	require.NoError(t, err)
	for client := range 4 {
		l.clients.Go(func() {
			for n := client; n < *killOrders; n += 4 {
				l.place(t.Context(), fmt.Sprintf("load-%d", n))
			}
		})
	}
	names := append(node.AllRoles().Names(), "sandbox")
	for i, name := range names {
		due := (i + 1) * *killOrders / (len(names) + 1)
		eventually(t, time.Minute, "no orders come in", func() bool { return l.count() >= due })
		d.kill(name)
		d.start(name)
	}
	l.clients.Wait()
	began := time.Now()
	drained := d.drained()
	require.Eventually(t, func() bool { return len(drained()) == drainStages }, 3*time.Minute, 50*time.Millisecond, "not everything is done")
	t.Logf("everything done %s after the last 202; %s", time.Since(began).Round(100*time.Millisecond), l.said())
	l.requireAllCompleted(stock["MUG-BLUE"], time.Minute)
	d.stop(names...)
}
