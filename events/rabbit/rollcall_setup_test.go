package rabbit_test

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/events/rabbit"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/workers"
)

// quick are the periods of a test. An event must be marked within Settle, which a busy machine can take seconds for.
var quick = outbox.Periods{Every: 100 * time.Millisecond, Settle: 3 * time.Second, Patience: 4 * time.Second, Kept: workers.PublishedEvents}

const parked = "order.parked.v1"

// shop is an outbox with two relays, and two listeners with two consumers each: one that takes everything, and one that does not.
type shop struct {
	*world
	box       *outbox.Outbox
	all, some *recorder
	inboxes   []*listen.Inbox
	pools     map[string]func(query string)
	pool      *sql.DB // of the listener some, where it is alone
	metrics   []*prometheus.Registry
	consumers []*rabbit.Consumer
	stops     []func() // of the consumers of some
	written   map[string]int64
	foreign   *foreign
}

func newShop(t *testing.T, periods outbox.Periods) *shop {
	t.Helper()
	s := &shop{
		world: newWorld(t, "all", "some"), all: newRecorder("all"), some: newRecorder("some", parked),
		written: map[string]int64{}, pools: map[string]func(string){},
	}
	t.Cleanup(func() { require.NoError(t, rabbit.RemoveAnswers(context.Background(), s.cfg, "orders")) })
	if periods == quick {
		s.cfg.DeclareEvery = 4 * time.Second // long enough for events to be published while a binding is missing
	}
	require.NoError(t, rabbit.Declare(t.Context(), s.cfg, s.all.Subscription, s.some.Subscription))
	s.foreign = newForeign(s.world)
	s.box = outbox.New(testenv.SQLite(t, "orders", outbox.Migrations()), "orders", time.Now)
	for _, r := range []*recorder{s.all, s.some} {
		inbox, pool := s.inbox(r.Name+".db", r.Listener)
		start(t, inbox.Run)
		s.inboxes = append(s.inboxes, inbox)
		s.pools[r.Name] = func(query string) {
			_, err := pool.ExecContext(t.Context(), query)
			require.NoError(t, err)
		}
	}
	for range 2 {
		s.relay(periods)
		_, c := s.consume(s.inboxes[0])
		s.consumers = append(s.consumers, c)
	}
	s.attend()
	// What is published before a listener is seen for the first time is not asked about.
	s.eventually(func() bool { return s.count(`SELECT COUNT(*) FROM outbox_roll_calls`) == 2 }, "both listeners to be known")
	return s
}

// attend starts the two consumers of the listener some.
func (s *shop) attend() {
	s.t.Helper()
	for range 2 {
		stop, c := s.consume(s.inboxes[1])
		s.stops, s.consumers = append(s.stops, stop), append(s.consumers, c)
	}
}

func (s *shop) leave() {
	for _, stop := range s.stops {
		stop()
	}
	s.stops = nil
}

// relay starts what a process does that relays.
func (s *shop) relay(periods outbox.Periods) {
	s.t.Helper()
	subscriptions := []listen.Subscription{s.all.Subscription, s.some.Subscription}
	publisher, metrics := s.publisher(subscriptions...), prometheus.NewRegistry()
	box := outbox.New(s.box.DB(), "orders", time.Now)
	relay, err := workers.NewRelay([]*outbox.Outbox{box}, publisher, metrics, s.cfg.Log)
	require.NoError(s.t, err)
	caller, err := workers.NewRollCaller([]*outbox.Outbox{box}, publisher, subscriptions, periods, metrics, s.cfg.Log)
	require.NoError(s.t, err)
	s.metrics = append(s.metrics, metrics)
	start(s.t, relay.Run)
	start(s.t, caller.Run)
}

// write writes one parked and one resumed event about each of these subjects, and waits until they are published.
func (s *shop) write(subjects ...string) {
	s.t.Helper()
	for _, subject := range subjects {
		for _, payload := range []events.Payload{events.OrderParked{OrderID: subject}, events.OrderResumed{OrderID: subject}} {
			require.NoError(s.t, s.box.DB().InTx(s.t.Context(), func(tx *database.Tx) error {
				return s.box.Append(s.t.Context(), tx, subject, payload)
			}))
			s.written[subject]++
		}
	}
	s.eventually(func() bool { return s.count(`SELECT COUNT(*) FROM outbox WHERE published_at IS NULL`) == 0 }, "everything to be published")
}

func (s *shop) count(query string) (n int) {
	s.t.Helper()
	require.NoError(s.t, s.box.DB().Get(s.t.Context(), &n, query))
	return n
}

// complete waits until both listeners have applied everything, and checks that this was once each.
func (s *shop) complete() {
	s.t.Helper()
	total := 0
	for _, n := range s.written {
		total += int(n)
	}
	s.eventually(func() bool { return s.all.total() >= total && s.some.total() >= total/2 }, "everything to be applied")
	for r, step := range map[*recorder]int64{s.all: 1, s.some: 2} {
		r.lock.Lock()
		for subject, last := range s.written {
			var want []int64
			for sequence := int64(1); sequence <= last; sequence += step {
				want = append(want, sequence)
			}
			require.ElementsMatch(s.t, want, r.applied[subject], "subject %s of listener %s", subject, r.Name)
		}
		r.lock.Unlock()
	}
	for _, inbox := range s.inboxes {
		stats, err := inbox.Stats(s.t.Context())
		require.NoError(s.t, err)
		require.Zero(s.t, stats[0].Dead, "a dead event of listener %s", stats[0].Listener)
	}
}

// sum is a counter's sum over the relays and its labels, where one of them has this value.
func (s *shop) sum(name, label string) (sum float64) {
	s.t.Helper()
	for _, metrics := range s.metrics {
		families, err := metrics.Gather()
		require.NoError(s.t, err)
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				for _, pair := range metric.GetLabel() {
					if family.GetName() == name && pair.GetValue() == label {
						sum += metric.GetCounter().GetValue()
					}
				}
			}
		}
	}
	return sum
}

// foreign is a queue of another program, bound to everything.
type foreign struct {
	lock sync.Mutex
	seen map[string][]int64
	odd  []string
}

func newForeign(w *world) *foreign {
	w.t.Helper()
	f, ch := &foreign{seen: map[string][]int64{}}, w.channel()
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	require.NoError(w.t, err)
	require.NoError(w.t, ch.QueueBind(q.Name, "#", w.cfg.Prefix+".events", false, nil))
	deliveries, err := ch.Consume(q.Name, "", true, true, false, false, nil)
	require.NoError(w.t, err)
	go func() {
		for d := range deliveries {
			var event events.Event
			err := event.UnmarshalJSON(d.Body)
			f.lock.Lock()
			if err != nil {
				f.odd = append(f.odd, d.ContentType)
			}
			f.seen[event.Subject] = append(f.seen[event.Subject], event.Sequence)
			f.lock.Unlock()
		}
	}()
	return f
}

// ordered checks that the queue never saw an old event after a newer one, and nothing but events.
func (f *foreign) ordered(t *testing.T) {
	t.Helper()
	f.lock.Lock()
	defer f.lock.Unlock()
	require.Empty(t, f.odd, "another program's queue got what is no event")
	require.NotEmpty(t, f.seen)
	for subject, sequences := range f.seen {
		require.True(t, slices.IsSorted(sequences), "another program's queue saw %v of subject %s", sequences, subject)
	}
}

// remove deletes queues and exchanges of this world.
func (s *shop) remove(ch *amqp.Channel, queues, exchanges []string) {
	s.t.Helper()
	for _, name := range queues {
		_, err := ch.QueueDelete(s.cfg.Prefix+"."+name, false, false, false)
		require.NoError(s.t, err)
	}
	for _, name := range exchanges {
		require.NoError(s.t, ch.ExchangeDelete(s.cfg.Prefix+"."+name, false, false))
	}
}

// ask makes the call that is due to a listener, as a relay would that dies then.
func (s *shop) ask(publisher *rabbit.Publisher, rolls *outbox.RollCalls, listener string) {
	s.t.Helper()
	var call outbox.RollCall
	s.eventually(func() (is bool) {
		var err error
		call, is, err = rolls.Due(s.t.Context(), listener)
		require.NoError(s.t, err)
		return is
	}, "a roll call to be due")
	claimed, err := rolls.Claim(s.t.Context(), &call)
	require.NoError(s.t, err)
	require.True(s.t, claimed)
	message := rabbit.RollCall{Source: "orders", Listener: listener, Until: call.Until}
	for _, event := range call.Events {
		message.Events = append(message.Events, rabbit.Asked{ID: event.ID, Type: event.Type})
	}
	require.NoError(s.t, publisher.Call(s.t.Context(), message))
}

// alone is an outbox without a relay and one listener for parked events, known to have everything up to now.
func alone(t *testing.T) (s *shop, publisher *rabbit.Publisher, rolls *outbox.RollCalls) {
	t.Helper()
	s = &shop{world: newWorld(t, "some"), some: newRecorder("some", parked), written: map[string]int64{}}
	t.Cleanup(func() { require.NoError(t, rabbit.RemoveAnswers(context.Background(), s.cfg, "orders")) })
	s.cfg.DeclareEvery = time.Second
	s.box = outbox.New(testenv.SQLite(t, "orders", outbox.Migrations()), "orders", time.Now)
	inbox, pool := s.inbox("some.db", s.some.Listener)
	start(t, inbox.Run)
	s.pool, s.inboxes = pool, []*listen.Inbox{inbox}
	publisher = s.publisher(s.some.Subscription)
	require.NoError(t, publisher.Ping(t.Context()))
	rolls = outbox.NewRollCalls(s.box, outbox.Periods{Every: quick.Every, Settle: time.Microsecond, Patience: quick.Patience, Kept: time.Hour})
	_, is, err := rolls.Due(t.Context(), "some")
	require.NoError(t, err)
	require.False(t, is)
	return s, publisher, rolls
}

// lose writes events and marks them published, though no queue has them.
func (s *shop) lose(subject string, payloads ...events.Payload) []listen.Message {
	s.t.Helper()
	var lost []listen.Message
	for _, payload := range payloads {
		require.NoError(s.t, s.box.DB().InTx(s.t.Context(), func(tx *database.Tx) error { return s.box.Append(s.t.Context(), tx, subject, payload) }))
		claimed, err := s.box.Claim(s.t.Context(), 1, time.Minute)
		require.NoError(s.t, err)
		require.NoError(s.t, s.box.MarkPublished(s.t.Context(), claimed))
		lost = append(lost, listen.Message{ID: claimed[0].ID, Type: claimed[0].Type, Body: []byte(claimed[0].Body)})
	}
	return lost
}

// fillIn starts what asks the listener some, and fills in what it lacks.
func (s *shop) fillIn(publisher *rabbit.Publisher) {
	s.t.Helper()
	metrics := prometheus.NewRegistry()
	periods := quick
	periods.Settle = time.Microsecond
	caller, err := workers.NewRollCaller([]*outbox.Outbox{s.box}, publisher, []listen.Subscription{s.some.Subscription}, periods, metrics, s.cfg.Log)
	require.NoError(s.t, err)
	s.metrics = append(s.metrics, metrics)
	start(s.t, caller.Run)
}

func (w *world) times(text string) int { return strings.Count(w.log.String(), text) }
