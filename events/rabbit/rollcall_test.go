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

const parked, resumed = "order.parked.v1", "order.resumed.v1"

// system is an outbox with two relays, and two listeners with two consumers each: one that takes everything, and one that does not.
type system struct {
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

func newSystem(t *testing.T, periods outbox.Periods) *system {
	t.Helper()
	s := &system{
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
func (s *system) attend() {
	s.t.Helper()
	for range 2 {
		stop, c := s.consume(s.inboxes[1])
		s.stops, s.consumers = append(s.stops, stop), append(s.consumers, c)
	}
}

func (s *system) leave() {
	for _, stop := range s.stops {
		stop()
	}
	s.stops = nil
}

// relay starts what a process does that relays.
func (s *system) relay(periods outbox.Periods) {
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
func (s *system) write(subjects ...string) {
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

func (s *system) count(query string) (n int) {
	s.t.Helper()
	require.NoError(s.t, s.box.DB().Get(s.t.Context(), &n, query))
	return n
}

// complete waits until both listeners have applied everything, and checks that this was once each.
func (s *system) complete() {
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
func (s *system) sum(name, label string) (sum float64) {
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
func (s *system) remove(ch *amqp.Channel, queues, exchanges []string) {
	s.t.Helper()
	for _, name := range queues {
		_, err := ch.QueueDelete(s.cfg.Prefix+"."+name, false, false, false)
		require.NoError(s.t, err)
	}
	for _, name := range exchanges {
		require.NoError(s.t, ch.ExchangeDelete(s.cfg.Prefix+"."+name, false, false))
	}
}

func TestNoListenerIsLeftOutInSilence(t *testing.T) {
	t.Parallel()
	subjects := []string{"a", "b", "c", "d", "e"}
	unbind := func(s *system, ch *amqp.Channel) {
		require.NoError(t, ch.QueueUnbind(s.cfg.Prefix+".some", parked, s.cfg.Prefix+".events", nil))
	}
	for name, breaks := range map[string]func(s *system, ch *amqp.Channel){
		"queue deleted while its listener consumes": func(s *system, ch *amqp.Channel) {
			s.remove(ch, []string{"some"}, nil)
			s.write(subjects...)
		},
		"queue deleted while its listener is away": func(s *system, ch *amqp.Channel) {
			s.leave()
			s.remove(ch, []string{"some"}, nil)
			s.write(subjects...)
			s.attend()
		},
		"one binding removed": func(s *system, ch *amqp.Channel) {
			unbind(s, ch)
			s.write(subjects...)
		},
		"one binding removed, and then the direct exchange": func(s *system, ch *amqp.Channel) {
			unbind(s, ch)
			s.write(subjects...)
			s.remove(ch, nil, []string{"direct"})
		},
		"the events' exchange deleted": func(s *system, ch *amqp.Channel) {
			unbind(s, ch)
			s.write(subjects...)
			s.remove(ch, nil, []string{"events"})
		},
		"broker made anew, empty": func(s *system, ch *amqp.Channel) {
			s.pools["some"](`ALTER TABLE inbox RENAME TO out_of_reach`)
			s.write(subjects...)
			s.eventually(func() bool {
				return s.count(`SELECT COUNT(*) FROM outbox_roll_calls WHERE called_until IS NOT NULL AND listener = 'some'`) == 1
			},
				"a roll call to stand in the queue")
			s.remove(ch, []string{"some", "all", "some.dead", "all.dead", "roll-call:orders"}, []string{"events", "direct", "dead"})
			s.write(subjects...)
			s.pools["some"](`ALTER TABLE out_of_reach RENAME TO inbox`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, quick)
			s.write(subjects...)
			s.complete()
			ch := s.channel()
			for round := 0; s.sum("orderly_filled_in_total", "some") == 0; round++ {
				require.Less(t, round, 20, "nothing was missed in any round: what is broken is mended too early to test anything")
				breaks(s, ch)
				s.write(subjects...)
				s.complete()
			}
			s.write(subjects...)
			s.complete()
			s.foreign.ordered(t)
			require.Contains(t, s.log.String(), "a listener lacked published events and was sent them")
		})
	}
}

// ask makes the call that is due to a listener, as a relay would that dies then.
func (s *system) ask(publisher *rabbit.Publisher, rolls *outbox.RollCalls, listener string) {
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
func alone(t *testing.T) (s *system, publisher *rabbit.Publisher, rolls *outbox.RollCalls) {
	t.Helper()
	s = &system{world: newWorld(t, "some"), some: newRecorder("some", parked), written: map[string]int64{}}
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
func (s *system) lose(subject string, payloads ...events.Payload) []listen.Message {
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

func (s *system) fillIn(publisher *rabbit.Publisher) *prometheus.Registry {
	s.t.Helper()
	metrics := prometheus.NewRegistry()
	periods := quick
	periods.Settle = time.Microsecond
	caller, err := workers.NewRollCaller([]*outbox.Outbox{s.box}, publisher, []listen.Subscription{s.some.Subscription}, periods, metrics, s.cfg.Log)
	require.NoError(s.t, err)
	s.metrics = append(s.metrics, metrics)
	start(s.t, caller.Run)
	return metrics
}

func TestAnEventFilledInAfterALaterOneIsAppliedAndTold(t *testing.T) {
	t.Parallel()
	s, publisher, _ := alone(t)
	lost := s.lose("a", events.OrderParked{OrderID: "a"}, events.OrderResumed{OrderID: "a"}, events.OrderParked{OrderID: "a"},
		events.OrderParked{OrderID: "a"})
	_, consumer := s.consume(s.inboxes...)
	s.send(publisher, lost[2])
	s.some.applies(s.world, 1)
	s.fillIn(publisher)
	s.some.applies(s.world, 3)
	s.eventually(func() bool { return s.sum("orderly_filled_in_total", "some") == 2 }, "what was filled in to be counted")
	require.Equal(t, []int64{3, 1, 4}, s.some.applied["a"], "not in the order of the sequence")
	s.eventually(func() bool { return gathered(t, consumer)["orderly_rabbit_late_total"] == 1 }, "the late one to be counted")
	require.Contains(t, s.log.String(), `an event was filled in after a later one of its subject had been applied" listener=some event_id=orders/a/1`)
	require.NotContains(t, s.log.String(), "applied\" listener=some event_id=orders/a/4")
	require.Contains(t, s.log.String(), "count=2 first=orders/a/1")
}

// A roll call that is lost, or its answer, is lost with a broker that is made anew. The relay that called may be gone as well.
func TestACallThatIsNotAnsweredIsRepeated(t *testing.T) {
	t.Parallel()
	for _, lost := range []string{"the call", "the answer"} {
		t.Run(lost, func(t *testing.T) {
			t.Parallel()
			s, publisher, rolls := alone(t)
			s.lose("a", events.OrderParked{OrderID: "a"})
			ch := s.channel()
			ctx, cancel := context.WithCancel(t.Context())
			answers, ended := make(chan rabbit.Answer), make(chan struct{})
			go func() {
				defer close(ended)
				publisher.Answers(ctx, "orders", func(_ context.Context, answer rabbit.Answer) { answers <- answer })
			}()
			if lost == "the answer" {
				s.consume(s.inboxes...)
				s.eventually(func() bool { is, err := publisher.Attended(t.Context(), "some"); return is && err == nil }, "the listener to be there")
				s.ask(publisher, rolls, "some")
				require.Equal(t, []string{"orders/a/1"}, (<-answers).Unknown)
			} else {
				require.NoError(t, ch.QueueBind(s.cfg.Prefix+".some", s.cfg.Prefix+".some", s.cfg.Prefix+".direct", false, nil))
				s.ask(publisher, rolls, "some")
				require.Equal(t, 1, s.ready(ch, "some"))
				_, err := ch.QueuePurge(s.cfg.Prefix+".some", false)
				require.NoError(t, err)
				s.consume(s.inboxes...)
			}
			cancel()
			<-ended
			s.fillIn(publisher)
			s.some.applies(s.world, 1)
		})
	}
}

// The queue of a consumer that knows no roll calls gets none: it would keep it as a dead event.
func TestAnOlderConsumerGetsNoRollCall(t *testing.T) {
	t.Parallel()
	s, publisher, _ := alone(t)
	lost := s.lose("a", events.OrderParked{OrderID: "a"})
	old := s.channel()
	_, err := old.Consume(s.cfg.Prefix+".some", "", false, false, false, false, nil)
	require.NoError(t, err)
	s.fillIn(publisher)
	s.eventually(s.logs("a listener can't be asked whether it lacks events"), "the return to be told")
	require.ErrorIs(t, publisher.Call(t.Context(), rabbit.RollCall{Source: "orders", Listener: "some", Until: time.Now()}), rabbit.ErrReturned)
	require.ErrorIs(t, publisher.Fill(t.Context(), "some", lost), rabbit.ErrReturned)
	s.eventually(func() bool { return s.sum("orderly_roll_calls_total", "returned") > 1 }, "the call to be tried again soon")
	require.Zero(t, s.ready(s.channel(), "some"))
	require.NoError(t, old.Close())
	s.consume(s.inboxes...) // the upgrade
	s.some.applies(s.world, 1)
}

func TestAQueueFromWhichNothingConsumesIsNotCalled(t *testing.T) {
	t.Parallel()
	s, publisher, _ := alone(t)
	s.lose("a", events.OrderParked{OrderID: "a"})
	ch := s.channel()
	require.NoError(t, ch.QueueBind(s.cfg.Prefix+".some", s.cfg.Prefix+".some", s.cfg.Prefix+".direct", false, nil))
	for range 3 {
		attended, err := publisher.Attended(t.Context(), "some")
		require.NoError(t, err)
		require.False(t, attended)
	}
	_, err := ch.QueueDelete(s.cfg.Prefix+".some", false, false, false)
	require.NoError(t, err)
	attended, err := publisher.Attended(t.Context(), "some")
	require.NoError(t, err)
	require.False(t, attended)
	require.Zero(t, s.ready(ch, "some"), "the queue was not made again")
	s.consume(s.inboxes...)
	s.fillIn(publisher)
	s.some.applies(s.world, 1)
}

func TestWhatIsNoRollCallAndNoAnswerIsDropped(t *testing.T) {
	t.Parallel()
	s, publisher, rolls := alone(t)
	s.fillIn(publisher)
	_, consumer := s.consume(s.inboxes...)
	s.eventually(func() bool { is, err := publisher.Attended(t.Context(), "some"); return is && err == nil }, "the listener to be there")
	ch := s.channel()
	put := func(key, contentType, body string) {
		t.Helper()
		require.NoError(t, ch.PublishWithContext(t.Context(), s.cfg.Prefix+".direct", s.cfg.Prefix+"."+key, true, false,
			amqp.Publishing{ContentType: contentType, Body: []byte(body)}))
	}
	const until = `"until":"2026-03-01T12:00:00Z"`
	calls := []string{`{`, `[]`, `{}`, `{"source":"orders","listener":"all",` + until + `}`, `{"source":"","listener":"some",` + until + `}`,
		`{"source":"orders","listener":"some",` + until + `,"events":[{"id":"a\u0000b","type":"order.parked.v1"}]}`}
	for _, body := range calls {
		put("some", "application/vnd.orderly.roll-call+json", body)
	}
	s.eventually(func() bool { return s.times("dropped a roll call that makes no sense") == len(calls) }, "each to be dropped")
	// Sound, and to a source that has no relay: the answer goes nowhere.
	put("some", "application/vnd.orderly.roll-call+json", `{"source":"nowhere","listener":"some",`+until+`}`)
	s.eventually(s.logs("a roll call could not be answered"), "the call without a caller to be dropped")

	answers := []string{`{`, `{}`, `{"source":"payments","listener":"some",` + until + `}`, `{"source":"orders","listener":"some",` + until + `,"unknown":["\u0000"]}`}
	for _, body := range answers {
		put("roll-call:orders", "application/vnd.orderly.roll-call-answer+json", body)
	}
	put("roll-call:orders", events.ContentType, `{}`)
	// Sound, and to no call.
	put("roll-call:orders", "application/vnd.orderly.roll-call-answer+json", `{"source":"orders","listener":"never",`+until+`,"unknown":["orders/a/1"]}`)
	s.eventually(func() bool { return s.times("dropped what is no answer") == len(answers)+1 }, "each to be dropped")

	s.lose("a", events.OrderParked{OrderID: "a"})
	s.some.applies(s.world, 1)
	_, is, err := rolls.Due(t.Context(), "some")
	require.NoError(t, err)
	require.False(t, is)
	require.Equal(t, 1, s.count(`SELECT COUNT(*) FROM outbox_roll_calls`), "an answer made up a listener")
	require.Zero(t, gathered(t, consumer)["orderly_rabbit_dead_lettered_total"])
	stats, err := s.inboxes[0].Stats(t.Context())
	require.NoError(t, err)
	require.Zero(t, stats[0].Dead)
}

func (w *world) times(text string) int { return strings.Count(w.log.String(), text) }

// What crosses the broker between processes of two versions only gains optional fields.
func TestWhatARollCallAndItsAnswerLookLike(t *testing.T) {
	t.Parallel()
	s, publisher, _ := alone(t)
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	const call = `{"source":"orders","listener":"some","until":"2026-03-01T12:00:00.123456Z","events":[{"id":"orders/a/1","type":"order.parked.v1"}]}`
	ch := s.channel()
	require.NoError(t, ch.QueueBind(s.cfg.Prefix+".some", s.cfg.Prefix+".some", s.cfg.Prefix+".direct", false, nil))
	require.NoError(t, publisher.Call(t.Context(), rabbit.RollCall{
		Source: "orders", Listener: "some", Until: at, Events: []rabbit.Asked{{ID: "orders/a/1", Type: parked}},
	}))
	got := s.take(ch, "some")
	require.JSONEq(t, call, string(got.Body))
	require.Equal(t, "application/vnd.orderly.roll-call+json", got.ContentType)
	require.EqualValues(t, 2, got.DeliveryMode, "not persistent")
	require.NoError(t, ch.Close()) // gives it back

	ch = s.channel()
	answers := s.cfg.Prefix + ".roll-call:orders"
	_, err := ch.QueueDeclare(answers, true, false, false, false, amqp.Table{"x-queue-type": "quorum", "x-delivery-limit": int64(100)})
	require.NoError(t, err)
	require.NoError(t, ch.QueueBind(answers, answers, s.cfg.Prefix+".direct", false, nil))
	s.consume(s.inboxes...)
	got = s.take(ch, "roll-call:orders")
	require.JSONEq(t, `{"source":"orders","listener":"some","until":"2026-03-01T12:00:00.123456Z","unknown":["orders/a/1"]}`, string(got.Body))
	require.Equal(t, "application/vnd.orderly.roll-call-answer+json", got.ContentType)
	require.EqualValues(t, 2, got.DeliveryMode, "not persistent")
}

// An operator sets the confirmed time back after a listener's database came back from a backup.
func TestAListenerThatForgotIsSentWhatItLacks(t *testing.T) {
	t.Parallel()
	s, publisher, _ := alone(t)
	s.lose("a", events.OrderParked{OrderID: "a"})
	s.consume(s.inboxes...)
	s.fillIn(publisher)
	s.some.applies(s.world, 1)
	s.eventually(func() bool { return s.sum("orderly_roll_calls_total", "answered") == 1 }, "the window to be confirmed")
	_, err := s.pool.ExecContext(t.Context(), `DELETE FROM inbox`)
	require.NoError(t, err)
	now := time.Now()
	_, err = s.box.DB().Exec(t.Context(), `UPDATE outbox_roll_calls SET confirmed_until = ?, called_until = NULL, next_call_at = ? WHERE listener = 'some'`,
		database.At(now.Add(-30*time.Minute)), database.At(now))
	require.NoError(t, err)
	s.some.applies(s.world, 2)
}
