package workers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/workers"
)

// transport is a transport made of a function that decides about each message.
type transport func(listen.Message) error

func (take transport) Publish(_ context.Context, messages []listen.Message) []error {
	results := make([]error, len(messages))
	for i, message := range messages {
		results[i] = take(message)
	}
	return results
}

// obedient is a transport that gives up when its context ends, as a broker's client does.
type obedient func(ctx context.Context) error

func (take obedient) Publish(ctx context.Context, messages []listen.Message) []error {
	results := make([]error, len(messages))
	for i := range results {
		results[i] = take(ctx)
	}
	return results
}

func newBox(open testenv.Open, source string) *outbox.Outbox {
	return outbox.New(open(source, outbox.Migrations()), source, time.Now)
}

func write(t *testing.T, box *outbox.Outbox, subjects ...string) {
	t.Helper()
	for _, subject := range subjects {
		require.NoError(t, box.DB().InTx(t.Context(), func(tx *database.Tx) error {
			return box.Append(t.Context(), tx, subject, events.OrderResumed{OrderID: subject})
		}))
	}
}

// run runs a relay until stop is called or the test ends.
func run(t *testing.T, carrier workers.Transport, boxes ...*outbox.Outbox) (metrics *prometheus.Registry, stop func()) {
	t.Helper()
	metrics = prometheus.NewRegistry()
	relay, err := workers.NewRelay(boxes, carrier, metrics, slog.New(slog.NewTextHandler(io.Discard, nil)))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	t.Cleanup(stop)
	return metrics, stop
}

func unpublished(t *testing.T, box *outbox.Outbox) int64 {
	t.Helper()
	waiting, _, err := box.Backlog(t.Context())
	require.NoError(t, err)
	return waiting
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, 5*time.Millisecond)
}

// What the table says while an event is on its way is what a relay killed at that moment leaves behind.
func TestAnEventIsMarkedOnlyOnceTheTransportHasConfirmedIt(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box := newBox(open, "orders")
		write(t, box, "a")
		var onTheWay []int64
		_, stop := run(t, transport(func(listen.Message) error {
			waiting, _, err := box.Backlog(context.WithoutCancel(t.Context()))
			if err != nil {
				return err
			}
			onTheWay = append(onTheWay, waiting)
			if len(onTheWay) == 1 {
				return errors.New("returned: no queue is bound")
			}
			return nil
		}), box)
		eventually(t, func() bool { return unpublished(t, box) == 0 })
		stop()
		require.Equal(t, []int64{1, 1}, onTheWay, "marked before it was published, or not tried again")
		var attempts int
		require.NoError(t, box.DB().Get(t.Context(), &attempts, `SELECT attempts FROM outbox`))
		require.Equal(t, 1, attempts)
	})
}

func TestAnEventThatIsRefusedHoldsBackItsOwnSubjectAlone(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box, other := newBox(open, "orders"), newBox(open, "payments")
		write(t, box, "bad", "good", "bad", "good")
		write(t, other, "bad")
		metrics, stop := run(t, transport(func(m listen.Message) error {
			if m.ID == "orders/bad/1" {
				return errors.New("no route")
			}
			if m.ID == "orders/bad/2" {
				t.Error("an event overtook the one before it")
			}
			return nil
		}), box, other)
		eventually(t, func() bool { return unpublished(t, box) == 2 && unpublished(t, other) == 0 })
		var reason string
		eventually(t, func() bool {
			require.NoError(t, box.DB().Get(t.Context(), &reason, `SELECT last_error FROM outbox WHERE event_id = 'orders/bad/1'`))
			return reason != ""
		})
		stop()
		require.Equal(t, "no route", reason)
		figures := gather(t, metrics)
		require.EqualValues(t, 2, figures["orderly_outbox_backlog orders"])
		require.Positive(t, figures["orderly_outbox_oldest_seconds orders"])
		require.EqualValues(t, 2, figures["orderly_outbox_published_total orders"])
		require.Positive(t, figures["orderly_outbox_failed_total orders"])
		require.EqualValues(t, 0, figures["orderly_outbox_backlog payments"])
		require.EqualValues(t, 1, figures["orderly_outbox_published_total payments"])
	})
}

// oneAtATime is a transport that complains when two events of a subject are with it at once, or come out of order.
type oneAtATime struct {
	t        *testing.T
	lock     sync.Mutex
	onTheWay map[string]bool
	last     map[string]int64
}

func (o *oneAtATime) Publish(_ context.Context, messages []listen.Message) []error {
	about := make([]events.Event, len(messages))
	for i, message := range messages {
		if err := about[i].UnmarshalJSON(message.Body); err != nil {
			o.t.Error(err)
		}
		o.lock.Lock()
		if o.onTheWay[about[i].Subject] || about[i].Sequence != o.last[about[i].Subject]+1 {
			o.t.Errorf("%s was handed over after %d, still on its way: %v", about[i].ID, o.last[about[i].Subject], o.onTheWay[about[i].Subject])
		}
		o.onTheWay[about[i].Subject] = true
		o.lock.Unlock()
	}
	runtime.Gosched()
	o.lock.Lock()
	defer o.lock.Unlock()
	for _, event := range about {
		o.onTheWay[event.Subject] = false
		o.last[event.Subject] = event.Sequence
	}
	return make([]error, len(messages))
}

func TestRelaysAtOnceHaveOneEventOfASubjectOnItsWay(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		const subjects, each = 4, 6
		box := newBox(open, "orders")
		for range each {
			for s := range subjects {
				write(t, box, fmt.Sprint("s", s))
			}
		}
		checked := &oneAtATime{t: t, onTheWay: map[string]bool{}, last: map[string]int64{}}
		run(t, checked, box)
		run(t, checked, box)
		eventually(t, func() bool { return unpublished(t, box) == 0 })
		for s := range subjects {
			require.EqualValues(t, each, checked.last[fmt.Sprint("s", s)])
		}
	})
}

// An event that is refused again and again is tried ever more rarely. What is written meanwhile must not wait with it.
func TestALongRefusedEventHoldsUpNoNewOne(t *testing.T) {
	t.Parallel()
	box := newBox(func(service string, sets ...database.Migrations) *database.DB {
		return testenv.SQLite(t, service, sets...)
	}, "orders")
	write(t, box, "bad")
	var refused atomic.Int64
	run(t, transport(func(m listen.Message) error {
		if strings.Contains(m.ID, "bad") {
			refused.Add(1)
			return errors.New("returned: no queue is bound")
		}
		return nil
	}), box)
	eventually(t, func() bool { return refused.Load() == 3 }) // from here on it waits for two seconds or longer
	write(t, box, "good")
	require.Eventually(t, func() bool { return unpublished(t, box) == 1 }, 1500*time.Millisecond, 5*time.Millisecond)
	require.Equal(t, int64(3), refused.Load())
}

func TestRunFinishesWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box := newBox(open, "orders")
		write(t, box, "a")
		onTheWay, arrive := make(chan struct{}), make(chan struct{})
		relay, err := workers.NewRelay([]*outbox.Outbox{box}, obedient(func(ctx context.Context) error {
			close(onTheWay)
			<-arrive
			return ctx.Err()
		}), prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- relay.Run(ctx) }()
		<-onTheWay
		cancel()
		close(arrive)
		require.NoError(t, <-ended)
		require.Zero(t, unpublished(t, box))
	})
}

// meeting is a transport whose first batch waits for a second one.
type meeting struct {
	calls  atomic.Int64
	second chan struct{}
	met    atomic.Bool
}

func (m *meeting) Publish(ctx context.Context, messages []listen.Message) []error {
	switch m.calls.Add(1) {
	case 1:
		select {
		case <-m.second:
			m.met.Store(true)
		case <-ctx.Done():
		}
	case 2:
		close(m.second)
	}
	return make([]error, len(messages))
}

func TestABacklogIsClaimedWhileABatchIsOnItsWay(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box := newBox(open, "orders")
		require.NoError(t, box.DB().InTx(t.Context(), func(tx *database.Tx) error {
			for n := range 201 {
				if err := box.Append(t.Context(), tx, fmt.Sprint("s", n), events.OrderResumed{}); err != nil {
					return err
				}
			}
			return nil
		}))
		m := &meeting{second: make(chan struct{})}
		run(t, m, box)
		eventually(t, func() bool { return unpublished(t, box) == 0 })
		require.True(t, m.met.Load(), "the second batch waited for the first")
		require.EqualValues(t, 2, m.calls.Load())
	})
}

func TestTidyKeepsWhatIsWithinItsWindow(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		var passed time.Duration
		box := outbox.New(open("orders", outbox.Migrations()), "orders", func() time.Time { return time.Now().Add(passed) })
		write(t, box, "a", "b")
		claimed, err := box.Claim(t.Context(), 1, time.Minute)
		require.NoError(t, err)
		require.NoError(t, box.MarkPublished(t.Context(), claimed))
		rows := func() (count int) {
			require.NoError(t, box.DB().Get(t.Context(), &count, `SELECT COUNT(*) FROM outbox`))
			return count
		}
		tidy := func(later time.Duration) {
			passed = later
			house := workers.Housekeeping{Boxes: []*outbox.Outbox{box}}
			require.NoError(t, house.Tidy(t.Context()))
		}
		tidy(workers.PublishedEvents - time.Minute)
		require.Equal(t, 2, rows())
		tidy(workers.PublishedEvents + time.Minute)
		require.Equal(t, 1, rows(), "only what is published is pruned")
	})
}

// gather reads the metrics as "name source" -> value.
func gather(t *testing.T, metrics *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := metrics.Gather()
	require.NoError(t, err)
	figures := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			value := metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
			figures[family.GetName()+" "+metric.GetLabel()[0].GetValue()] = value
		}
	}
	return figures
}
