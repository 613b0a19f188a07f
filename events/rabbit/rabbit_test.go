package rabbit_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events/eventstest"
	"example.com/orderly/events/listen"
	"example.com/orderly/events/rabbit"
)

// TestNothingIsLeftRunningAfterStop is not parallel: it looks at the whole process.
func TestNothingIsLeftRunningAfterStop(t *testing.T) {
	w := newWorld(t, "all")
	p := w.proxied()
	all := newRecorder("all")
	inbox, _ := w.inbox("all.db", all.Listener)
	stop, consumer := w.consume(inbox)
	publisher := w.publisher(all.Subscription)
	for epoch := range int64(2) {
		w.send(publisher, about("a", 10*epoch+1, 10*epoch+10)...)
		w.eventually(func() bool { return gathered(t, consumer)["orderly_rabbit_stored_total"] >= float64(10*epoch+10) }, "all to be stored")
		if epoch == 0 {
			p.cut()
		}
	}
	stop()
	require.NoError(t, publisher.Close())
	require.Error(t, publisher.Publish(t.Context(), about("a", 21, 21))[0], "a closed publisher connected again")
	w.eventually(func() bool {
		stacks := make([]byte, 4<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		return !strings.Contains(string(stacks), "amqp091") && strings.Count(string(stacks), "orderly/events/rabbit.") == 0
	}, "the last goroutine to end")
}

func TestTransport(t *testing.T) {
	t.Parallel()
	brokerURL(t)
	whole := t // its clean-up comes after the last Stop
	var lock sync.Mutex
	worlds := map[*listen.Inbox]*world{}
	eventstest.Transport(t, func(t *testing.T, inboxes ...*listen.Inbox) eventstest.Running {
		var subscriptions []listen.Subscription
		var names []string
		for _, inbox := range inboxes {
			for _, listener := range inbox.Subscriptions() {
				subscriptions, names = append(subscriptions, listener), append(names, listener.Name)
			}
		}
		lock.Lock()
		if worlds[inboxes[0]] == nil { // the second time it is a restart
			worlds[inboxes[0]] = newWorld(whole, names...)
		}
		w := worlds[inboxes[0]]
		lock.Unlock()
		publisher, err := rabbit.NewPublisher(w.cfg, subscriptions...)
		require.NoError(t, err)
		consumer, err := rabbit.NewConsumer(w.cfg, inboxes...)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- consumer.Run(ctx) }()
		return eventstest.Running{Publish: publisher.Publish, Stop: sync.OnceFunc(func() {
			cancel()
			require.NoError(t, <-ended)
			require.NoError(t, publisher.Close())
		})}
	})
}

func TestConnectionsThatEndLoseNothingAndKeepTheOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	p := w.proxied()
	all := newRecorder("all")
	inbox, _ := w.inbox("all.db", all.Listener)
	start(t, inbox.Run)
	_, consumer := w.consume(inbox)
	publisher := w.publisher(all.Subscription)

	var subjects []string
	var relays sync.WaitGroup
	for i := range 6 {
		subject := fmt.Sprint("s", i)
		subjects = append(subjects, subject)
		relays.Go(func() {
			for sequence := int64(1); sequence <= 60; sequence++ {
				w.eventually(func() bool { return all.total() >= 6*int(sequence-10) }, "the consumer to keep up")
				w.send(publisher, about(subject, sequence, sequence)...)
			}
		})
	}
	for cut := 1; cut <= 5; cut++ {
		w.eventually(func() bool { return all.total() >= cut*40 }, "events to flow before cut %d", cut)
		if cut%2 == 0 {
			p.say(forced) // as rabbitmqctl close_all_connections or a broker that shuts down does
		} else {
			p.cut()
		}
	}
	relays.Wait()
	all.complete(w, subjects, 60)
	require.Zero(t, w.ready(w.channel(), "all.dead"))
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(consumer))
	require.NoError(t, registry.Register(publisher), "both are to be seen in one registry")
	require.GreaterOrEqual(t, gathered(t, consumer)["orderly_rabbit_epochs_total"], 4.0, "the consumer was never cut off")
	require.GreaterOrEqual(t, gathered(t, publisher)["orderly_rabbit_epochs_total"], 4.0, "the publisher was never cut off")
}

func TestABrokerThatIsNotUpYetIsWaitedForAndMentionedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	p := w.proxied()
	p.refusing.Store(true)
	all := newRecorder("all")
	inbox, _ := w.inbox("all.db", all.Listener)
	start(t, inbox.Run)
	w.consume(inbox)
	publisher := w.publisher(all.Subscription)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.Error(t, publisher.Publish(ctx, about("a", 1, 1))[0])
	require.Less(t, time.Since(began), 10*time.Second, "a batch waits for a broker that is away for longer than a process may take to stop")
	require.Error(t, rabbit.Check(t.Context(), w.cfg))
	w.eventually(func() bool { return strings.Count(w.log.String(), "waiting for RabbitMQ") == 2 }, "both to say so")
	p.refusing.Store(false)
	w.send(publisher, about("a", 1, 3)...)
	all.complete(w, []string{"a"}, 3)
	require.NoError(t, rabbit.Check(t.Context(), w.cfg))
	require.NoError(t, publisher.Ping(t.Context()))
	require.Equal(t, 2, strings.Count(w.log.String(), "waiting for RabbitMQ"), "said more than once each")
}

func TestWhatWaitingCannotMendIsSaidInOneLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all", "other")
	plain := w.cfg.URL
	ch := w.channel()
	_, err := ch.QueueDeclare(w.cfg.Prefix+".other", true, false, false, false, nil)
	require.NoError(t, err)

	host := plain[strings.LastIndex(plain, "@")+1:]
	host = host[:strings.IndexByte(host+"/", '/')]
	for name, c := range map[string]struct {
		url, prefix, listener string
		want                  []string
	}{
		"a URL that is none":       {url: "amqp://guest:secret word@" + host, want: []string{"RABBITMQ_URL is not usable", "%40"}},
		"another scheme":           {url: "http://guest:secret@" + host, want: []string{"RABBITMQ_URL is not usable"}},
		"a port that is none":      {url: "amqp://guest:secret@localhost:x/", want: []string{"RABBITMQ_URL is not usable"}},
		"a wrong password":         {url: "amqp://guest:secret@" + host, want: []string{"RABBITMQ_URL", "refuses the login", `"guest"`, "add_user"}},
		"a missing vhost":          {url: strings.TrimRight(plain, "/") + "/nowhere", want: []string{"RABBITMQ_URL", "nowhere", "add_vhost"}},
		"TLS on a port without":    {url: strings.Replace(plain, "amqp://", "amqps://", 1), want: []string{"RABBITMQ_URL", "TLS", "amqp://"}},
		"a missing right":          {prefix: "amq", want: []string{"RABBITMQ_URL", "may not declare", "amq.events", "set_permissions"}},
		"a queue of another shape": {listener: "other", want: []string{w.cfg.Prefix + ".other", "other settings", "delete_queue"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := w.cfg
			if c.url != "" {
				cfg.URL = c.url
			}
			if c.prefix != "" {
				cfg.Prefix = c.prefix
			}
			if c.listener == "" {
				c.listener = "all"
			}
			recorder := newRecorder(c.listener)
			inbox, _ := w.inbox(strings.ReplaceAll(name, " ", "_")+".db", recorder.Listener)
			var found []error
			if c.url != "" {
				found = append(found, rabbit.Check(t.Context(), cfg))
			}
			publisher, err := rabbit.NewPublisher(cfg, recorder.Subscription)
			if err == nil {
				err = publisher.Publish(t.Context(), about("a", 1, 1))[0]
				require.NoError(t, publisher.Close())
			}
			found = append(found, err)
			consumer, err := rabbit.NewConsumer(cfg, inbox)
			if err == nil {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				err = consumer.Run(ctx)
			}
			found = append(found, err)
			for _, err := range found {
				require.ErrorIs(t, err, rabbit.ErrSetup)
				require.NotContains(t, err.Error(), "secret")
				require.NotContains(t, err.Error(), "\n")
				for _, part := range c.want {
					require.ErrorContains(t, err, part)
				}
			}
		})
	}
	t.Cleanup(func() { require.NotContains(t, w.log.String(), "secret") })
}

func TestBindingsNoLongerWantedAreRemovedByTheListenerOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	wide := newRecorder("all", "order.parked.v1", "order.resumed.v1")
	narrow := newRecorder("all", "order.parked.v1")
	anything := newRecorder("all")
	both := about("a", 4, 5) // resumed, parked

	require.NoError(t, rabbit.Declare(t.Context(), w.cfg, wide.Subscription))
	older := w.publisher(narrow.Subscription)
	require.Equal(t, []error{nil, nil}, older.Publish(t.Context(), both), "a relay of an older version took a binding away")

	inbox, _ := w.inbox("all.db", narrow.Listener)
	start(t, inbox.Run)
	stop, _ := w.consume(inbox)
	narrow.applies(w, 1)
	plain := w.publisher()
	results := plain.Publish(t.Context(), both)
	require.ErrorIs(t, results[0], rabbit.ErrReturned, "the binding of a type no longer wanted is still there")
	require.NoError(t, results[1])
	stop()

	require.NoError(t, rabbit.Declare(t.Context(), w.cfg, anything.Subscription))
	require.Equal(t, []error{nil, nil}, plain.Publish(t.Context(), both))
	require.NoError(t, rabbit.Declare(t.Context(), w.cfg, narrow.Subscription))
	require.ErrorIs(t, plain.Publish(t.Context(), both)[0], rabbit.ErrReturned, "the binding to everything is still there")
}

func (r *recorder) applies(w *world, n int) {
	w.t.Helper()
	w.eventually(func() bool { return r.total() >= n }, "%d events to be applied", n)
}

func TestFiveThousandEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	all := newRecorder("all")
	inbox, _ := w.inbox("all.db", all.Listener)
	publisher := w.publisher(all.Subscription)
	require.NoError(t, publisher.Ping(t.Context()))
	var batches [][]listen.Message
	var subjects []string
	for i := range 200 {
		subjects = append(subjects, fmt.Sprint("s", i))
	}
	for sequence := int64(1); sequence <= 25; sequence++ {
		var batch []listen.Message
		for _, subject := range subjects {
			batch = append(batch, about(subject, sequence, sequence)...)
		}
		batches = append(batches, batch)
	}
	began := time.Now()
	for _, batch := range batches {
		w.send(publisher, batch...)
	}
	published := time.Since(began)
	began = time.Now()
	_, consumer := w.consume(inbox)
	w.eventually(func() bool { return gathered(t, consumer)["orderly_rabbit_stored_total"] >= 5000 }, "everything to be stored")
	t.Logf("5000 events: published and confirmed in batches of 200 in %s (%.0f/s), consumed and stored in %s (%.0f/s)",
		published.Round(time.Millisecond), 5000/published.Seconds(), time.Since(began).Round(time.Millisecond), 5000/time.Since(began).Seconds())
	require.Zero(t, w.ready(w.channel(), "all"))
}
