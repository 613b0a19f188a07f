package rabbit_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/events/rabbit"
)

// gathered is the sum of each metric over its labels.
func gathered(t testing.TB, collector prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(collector))
	families, err := registry.Gather()
	require.NoError(t, err)
	sums := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			sums[family.GetName()] += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return sums
}

func TestAnEventNoQueueTakesIsReturnedAndTheTopologyMended(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "parked")
	publisher := w.publisher(newRecorder("parked", events.OrderParked{}.EventType()).Subscription)
	results := publisher.Publish(t.Context(), about("a", 4, 6))
	require.ErrorIs(t, results[0], rabbit.ErrReturned)
	require.ErrorContains(t, results[0], "order.resumed.v1")
	require.NoError(t, results[1])
	require.ErrorIs(t, results[2], rabbit.ErrReturned)
	require.Equal(t, 2.0, gathered(t, publisher)["orderly_rabbit_returned_total"])

	ch := w.channel()
	require.NoError(t, publisher.Publish(t.Context(), about("a", 10, 10))[0])
	_, err := ch.QueueDelete(w.cfg.Prefix+".parked", false, false, false)
	require.NoError(t, err)
	require.ErrorIs(t, publisher.Publish(t.Context(), about("a", 15, 15))[0], rabbit.ErrReturned)
	w.send(publisher, about("a", 15, 15)...) // as soon as the queue has been declared again
	require.Equal(t, 1, w.ready(ch, "parked"))
	require.Equal(t, 1.0, gathered(t, publisher)["orderly_rabbit_epochs_total"])
}

func TestAnEventOutlivesTheBroker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	require.NoError(t, w.publisher(newRecorder("all").Subscription).Publish(t.Context(), about("a", 1, 1))[0])
	got := w.take(w.channel(), "all")
	require.EqualValues(t, 2, got.DeliveryMode, "not persistent")
	require.Equal(t, []string{"orders/a/1", "order.resumed.v1", "order.resumed.v1", events.ContentType},
		[]string{got.MessageId, got.Type, got.RoutingKey, got.ContentType})
}

func TestALostConfirmIsAnUnknownOutcomeAndANewConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	p := w.proxied()
	all := newRecorder("all")
	inbox, _ := w.inbox("all.db", all.Listener)
	start(t, inbox.Run)
	publisher := w.publisher(all.Subscription)
	require.NoError(t, publisher.Ping(t.Context()))
	p.dropAcks.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for _, err := range publisher.Publish(ctx, about("a", 1, 3)) {
		require.ErrorIs(t, err, rabbit.ErrUnconfirmed)
	}
	p.dropAcks.Store(false)
	w.send(publisher, about("a", 1, 3)...)
	require.Equal(t, 2.0, gathered(t, publisher)["orderly_rabbit_epochs_total"])
	require.Equal(t, 6, w.ready(w.channel(), "all"), "the broker had them the first time")
	w.consume(inbox)
	all.complete(w, []string{"a"}, 3)
}

func TestPublishReturnsWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	p := w.proxied()
	publisher := w.publisher(newRecorder("all").Subscription)
	require.NoError(t, publisher.Ping(t.Context()))
	// More than every buffer on the way holds, so that it hangs in the middle of writing.
	big := about("a", 1, 40)
	for i := range big {
		big[i].Body = make([]byte, 1<<20)
	}
	p.gate.Lock()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	returned := make(chan []error)
	go func() { returned <- publisher.Publish(ctx, big) }()
	select {
	case results := <-returned:
		for _, err := range results {
			require.Error(t, err)
		}
	case <-time.After(10 * time.Second):
		p.gate.Unlock()
		t.Fatal("Publish hangs on a dead connection")
	}
	p.gate.Unlock()
	w.send(publisher, about("b", 1, 2)...)
}

func TestABlockedConnectionIsKeptAndWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	p := w.proxied()
	publisher := w.publisher(newRecorder("all").Subscription)
	require.NoError(t, publisher.Publish(t.Context(), about("a", 1, 1))[0])
	p.say(blocked)
	w.eventually(func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := publisher.Publish(ctx, about("a", 2, 2))[0]
		return err != nil && err.Error() == rabbit.ErrBlocked.Error()
	}, "Publish to say that the broker is blocked")
	waiting := make(chan []error)
	go func() { waiting <- publisher.Publish(t.Context(), about("a", 2, 2)) }()
	p.say(unblocked)
	require.Equal(t, []error{nil}, <-waiting)
	require.Equal(t, 1.0, gathered(t, publisher)["orderly_rabbit_epochs_total"], "the connection was given up; a broker that is "+
		"blocked does not notice that, and every new one adds to its trouble")
}

func TestAConnectionThatIsBlockedWithABatchOnItsWayIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	p := w.proxied()
	publisher, ch := w.publisher(newRecorder("all").Subscription), w.channel()
	require.NoError(t, publisher.Ping(t.Context()))
	p.dropAcks.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	results := make(chan []error)
	go func() { results <- publisher.Publish(ctx, about("a", 1, 1)) }()
	w.eventually(func() bool { return w.ready(ch, "all") == 1 }, "the broker to have it")
	p.say(blocked)
	require.ErrorIs(t, (<-results)[0], rabbit.ErrUnconfirmed)
	p.dropAcks.Store(false)
	p.say(unblocked)
	require.NoError(t, publisher.Publish(t.Context(), about("a", 2, 2))[0])
	require.Equal(t, 1.0, gathered(t, publisher)["orderly_rabbit_epochs_total"])
}

func TestWhatWasOnItsWayWhenTheConnectionEndedIsUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	p := w.proxied()
	publisher, ch := w.publisher(newRecorder("all").Subscription), w.channel()
	require.NoError(t, publisher.Ping(t.Context()))
	p.gate.Lock()
	before := p.sent.Load()
	results := make(chan []error)
	go func() { results <- publisher.Publish(t.Context(), about("a", 1, 5)) }()
	w.eventually(func() bool { return p.sent.Load() > before+100 }, "the batch to be written")
	p.cut()
	for _, err := range <-results {
		require.ErrorIs(t, err, rabbit.ErrUnconfirmed)
	}
	p.gate.Unlock()
	require.Zero(t, w.ready(ch, "all"))
	require.Zero(t, gathered(t, publisher)["orderly_rabbit_nacked_total"])
}

func TestAnEventAQueueRefusesIsNotPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "full")
	publisher, ch := w.publisher(), w.channel()
	require.NoError(t, publisher.Ping(t.Context()))
	queue := w.cfg.Prefix + ".full"
	_, err := ch.QueueDeclare(queue, true, false, false, false, amqp.Table{
		"x-queue-type": "quorum", "x-max-length": int64(1), "x-overflow": "reject-publish",
	})
	require.NoError(t, err)
	require.NoError(t, ch.QueueBind(queue, "#", w.cfg.Prefix+".events", false, nil))
	// A quorum queue takes a few more than its limit before it tells the channel.
	w.eventually(func() bool {
		err := publisher.Publish(t.Context(), about("a", 1, 1))[0]
		if err != nil {
			require.ErrorIs(t, err, rabbit.ErrNacked)
		}
		return err != nil
	}, "the queue to be full")
	require.Equal(t, 1.0, gathered(t, publisher)["orderly_rabbit_nacked_total"])
	require.Equal(t, 1.0, gathered(t, publisher)["orderly_rabbit_epochs_total"])
}

func TestEveryReturnOfALargeBatchIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, err := range w.publisher().Publish(t.Context(), about("a", 1, 1200)) {
		require.ErrorIs(t, err, rabbit.ErrReturned)
	}
}

func TestAnEventTheBrokerWouldNotTakeHarmsNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	publisher := w.publisher(newRecorder("all").Subscription)
	messages := about("a", 1, 4)
	messages[0].Body = make([]byte, 16<<20+1)
	messages[1].ID = string(make([]byte, 256))
	messages[2].Type = string(make([]byte, 256))
	results := publisher.Publish(t.Context(), messages)
	require.ErrorContains(t, results[0], "RabbitMQ takes 16777216")
	require.ErrorContains(t, results[1], "255 bytes")
	require.ErrorContains(t, results[2], "255 bytes")
	require.NoError(t, results[3])
	require.Equal(t, 1.0, gathered(t, publisher)["orderly_rabbit_epochs_total"])
}

func TestMoreThanOneBatchAndSeveralRelaysAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	publisher := w.publisher(newRecorder("all").Subscription)
	done := make(chan []error)
	for _, subject := range []string{"a", "b", "c", "d", "e", "f"} {
		go func() { done <- publisher.Publish(context.WithoutCancel(t.Context()), about(subject, 1, 700)) }()
	}
	for range 6 {
		require.Equal(t, make([]error, 700), <-done)
	}
	require.Equal(t, 4200, w.ready(w.channel(), "all"))
	require.Equal(t, 1.0, gathered(t, publisher)["orderly_rabbit_epochs_total"])
	require.Empty(t, publisher.Publish(t.Context(), []listen.Message{}))
}

// Health checks give up after a second. That a slow broker did not answer them in time must not delay events once it does.
func TestAskingForHealthDoesNotPutOffPublishing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	slow := w.proxied()
	publisher := w.publisher(newRecorder("all").Subscription)
	slow.gate.Lock()
	const asked = 10
	for range asked {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		require.Error(t, publisher.Ping(ctx))
		cancel()
	}
	slow.gate.Unlock()
	w.eventually(func() bool {
		slow.lock.Lock()
		defer slow.lock.Unlock()
		return len(slow.conns) >= asked
	}, "the broker to be asked each time: a pause would have kept events waiting, too")
	require.NoError(t, publisher.Publish(t.Context(), about("a", 1, 1))[0])
}
