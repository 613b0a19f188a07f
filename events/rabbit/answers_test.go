package rabbit_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/events/rabbit"
	"example.com/orderly/internal/database"
)

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

// A roll call that is acknowledged and not answered would leave the listener without what it lacks until the next call.
func TestARollCallIsTheBrokersUntilItIsAnswered(t *testing.T) {
	t.Parallel()
	s, publisher, rolls := alone(t)
	s.lose("a", events.OrderParked{OrderID: "a"})
	stop, _ := s.consume(s.inboxes...)
	s.eventually(func() bool { is, err := publisher.Attended(t.Context(), "some"); return is && err == nil }, "the listener to be there")
	_, err := s.pool.ExecContext(t.Context(), `ALTER TABLE inbox RENAME TO out_of_reach`)
	require.NoError(t, err)
	s.ask(publisher, rolls, "some")
	s.eventually(s.logs("consuming pauses"), "the roll call to be tried")
	stop()
	ch := s.channel()
	s.eventually(func() bool { return s.ready(ch, "some") == 1 }, "the broker to have the roll call back")
	_, err = s.pool.ExecContext(t.Context(), `ALTER TABLE out_of_reach RENAME TO inbox`)
	require.NoError(t, err)
	s.fillIn(publisher)
	s.consume(s.inboxes...)
	s.some.applies(s.world, 1)
}

func TestAListenerIsAskedOnlyAboutWhatItWants(t *testing.T) {
	t.Parallel()
	s, publisher, rolls := alone(t)
	s.lose("a", events.OrderResumed{OrderID: "a"})
	ch := s.channel()
	require.NoError(t, ch.QueueBind(s.cfg.Prefix+".some", s.cfg.Prefix+".some", s.cfg.Prefix+".direct", false, nil))
	deliveries, err := ch.Consume(s.cfg.Prefix+".some", "", true, false, false, false, nil)
	require.NoError(t, err)
	s.fillIn(publisher)
	s.eventually(func() bool {
		_, is, err := rolls.Due(t.Context(), "some")
		require.NoError(t, err)
		return !is
	}, "the window to be skipped")
	require.Zero(t, s.sum("orderly_roll_calls_total", "called"), "it was asked about nothing")
	s.lose("a", events.OrderResumed{OrderID: "a"}, events.OrderParked{OrderID: "a"}, events.OrderResumed{OrderID: "a"})
	var call rabbit.RollCall
	require.NoError(t, json.Unmarshal((<-deliveries).Body, &call))
	require.Equal(t, []rabbit.Asked{{ID: "orders/a/3", Type: parked}}, call.Events)
}
