package rabbit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events/listen"
	"example.com/orderly/internal/testenv"
)

func TestWhileTheInboxIsAwayNothingIsAcknowledged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	all := newRecorder("all")
	inbox, pool := w.inbox("all.db", all.Listener)
	exec := func(query string) {
		_, err := pool.ExecContext(t.Context(), query)
		require.NoError(t, err)
	}
	publisher := w.publisher(all.Subscription)
	stop, consumer := w.consume(inbox)
	ch := w.channel()

	w.send(publisher, about("a", 1, 1)...)
	w.eventually(func() bool { return gathered(t, consumer)["orderly_rabbit_stored_total"] == 1 }, "the first to be stored")
	exec(`ALTER TABLE inbox RENAME TO out_of_reach`)
	w.send(publisher, about("a", 2, 30)...)
	w.eventually(w.logs("consuming pauses"), "the pause")
	require.Equal(t, 1.0, gathered(t, consumer)["orderly_rabbit_paused"])
	exec(`ALTER TABLE out_of_reach RENAME TO inbox`)
	w.eventually(func() bool { return gathered(t, consumer)["orderly_rabbit_stored_total"] == 30 }, "the pause to end")
	require.Equal(t, 1.0, gathered(t, consumer)["orderly_rabbit_epochs_total"])
	w.eventually(w.logs("consuming goes on"), "the end of the pause to be said")

	exec(`ALTER TABLE inbox RENAME TO out_of_reach`)
	w.send(publisher, about("a", 31, 60)...)
	w.eventually(func() bool { return w.ready(ch, "all") == 0 && gathered(t, consumer)["orderly_rabbit_paused"] == 1 },
		"everything to be delivered")
	stop()
	w.eventually(func() bool { return w.ready(ch, "all") == 30 }, "the broker to have all of it back")

	// A consumer that starts now must not even ask for anything.
	stop, _ = w.consume(inbox)
	w.eventually(w.logs("consuming waits for the listener's database"), "the new consumer to wait")
	stop()
	looking := w.channel()
	require.EqualValues(t, 1, w.take(looking, "all").Headers["x-delivery-count"], "it was delivered to a consumer that could not keep it")
	require.NoError(t, looking.Close())

	exec(`ALTER TABLE out_of_reach RENAME TO inbox`)
	start(t, inbox.Run)
	w.consume(inbox)
	all.complete(w, []string{"a"}, 60)
	require.Zero(t, w.ready(ch, "all.dead"))
}

func TestStopStoresWhatWasDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	all := newRecorder("all")
	inbox, pool := w.inbox("all.db", all.Listener)
	stop, consumer := w.consume(inbox)
	publisher, ch := w.publisher(all.Subscription), w.channel()
	w.send(publisher, about("a", 1, 1)...)
	w.eventually(func() bool { return gathered(t, consumer)["orderly_rabbit_stored_total"] == 1 }, "the first to be stored")

	busy, err := pool.Conn(t.Context()) // the only one there is: storing waits for it
	require.NoError(t, err)
	w.send(publisher, about("a", 2, 150)...)
	w.eventually(func() bool { return w.ready(ch, "all") == 0 }, "everything to be delivered")
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	require.NoError(t, busy.Close())
	<-stopped
	require.Equal(t, 150.0, gathered(t, consumer)["orderly_rabbit_stored_total"], "something that was delivered went back")
	require.Zero(t, w.ready(ch, "all"), "something that was stored went back")
	start(t, inbox.Run)
	all.complete(w, []string{"a"}, 150)
}

func TestAConsumerThatStopsDoesNotLetTheNextOneOvertakeIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	all := newRecorder("all")
	first, held := w.inbox("all.db", all.Listener)
	second, free := w.inbox("all.db", all.Listener)
	publisher, ch := w.publisher(all.Subscription), w.channel()
	stop, consumer := w.consume(first)
	w.send(publisher, about("a", 1, 1)...)
	w.eventually(func() bool { return gathered(t, consumer)["orderly_rabbit_stored_total"] == 1 }, "the first consumer to be active")
	_, next := w.consume(second)
	w.eventually(func() bool { return gathered(t, next)["orderly_rabbit_epochs_total"] == 1 }, "the second consumer to stand by")

	exec := func(query string) {
		_, err := free.ExecContext(t.Context(), query)
		require.NoError(t, err)
	}
	exec(`ALTER TABLE inbox RENAME TO out_of_reach`)
	w.send(publisher, about("a", 2, 260)...)
	w.eventually(func() bool { return w.ready(ch, "all") == 59 }, "the first consumer to hold as much as it may")
	w.eventually(w.logs("consuming pauses"), "the first consumer to pause")
	busy, err := held.Conn(t.Context())
	require.NoError(t, err)
	exec(`ALTER TABLE out_of_reach RENAME TO inbox`)
	start(t, second.Run)
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		_, err := second.Show(t.Context(), "all", "orders/a/202")
		require.Error(t, err, "the second consumer has overtaken the first")
	}
	require.NoError(t, busy.Close())
	<-stopped
	all.complete(w, []string{"a"}, 260)
}

func TestConsumersThatComeAndGoKeepTheOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	all := newRecorder("all")
	first, _ := w.inbox("all.db", all.Listener)
	second, _ := w.inbox("all.db", all.Listener)
	start(t, first.Run)
	publisher := w.publisher(all.Subscription)
	stopFirst, _ := w.consume(first)
	stopSecond, _ := w.consume(second)
	var subjects []string
	published := make(chan struct{})
	for i := range 5 {
		subjects = append(subjects, fmt.Sprint("s", i))
	}
	go func() {
		defer close(published)
		for sequence := int64(1); sequence <= 100; sequence++ {
			for _, subject := range subjects {
				w.send(publisher, about(subject, sequence, sequence)...)
			}
		}
	}()
	for i, change := range []func(){
		func() { stopFirst(); stopFirst, _ = w.consume(first) },
		func() { stopSecond(); stopSecond, _ = w.consume(second) },
		func() { stopFirst() },
	} {
		all.applies(w, 100*(i+1))
		change()
	}
	<-published
	all.complete(w, subjects, 100)
}

func TestALateAcknowledgementIsLostWithItsConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	publisher := w.publisher(newRecorder("all").Subscription)
	p := w.proxied()
	all := newRecorder("all")
	inbox, pool := w.inbox("all.db", all.Listener)
	_, consumer := w.consume(inbox)
	ch := w.channel()
	w.send(publisher, about("a", 1, 1)...)
	w.eventually(func() bool { return gathered(t, consumer)["orderly_rabbit_stored_total"] == 1 }, "the first to be stored")
	busy, err := pool.Conn(t.Context())
	require.NoError(t, err)
	w.send(publisher, about("a", 2, 20)...)
	w.eventually(func() bool { return w.ready(ch, "all") == 0 }, "the deliveries")
	p.cut()
	w.eventually(func() bool { return w.ready(ch, "all") == 19 }, "the broker to have them back")
	require.NoError(t, busy.Close()) // only now they are stored, and the acknowledgement has no connection to go to
	start(t, inbox.Run)
	w.send(publisher, about("a", 21, 40)...)
	all.complete(w, []string{"a"}, 40)
	w.eventually(func() bool { return gathered(t, consumer)["orderly_rabbit_epochs_total"] >= 2 }, "a new epoch")
	require.Zero(t, w.ready(ch, "all.dead"))
}

func TestAMessageThatCannotBeStoredIsDeadLettered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	all := newRecorder("all")
	inbox, pool := w.inbox("all.db", all.Listener)
	_, err := pool.ExecContext(t.Context(), `CREATE TRIGGER refuse BEFORE INSERT ON inbox WHEN NEW.event_id = 'orders/poison/1'
		BEGIN SELECT RAISE(ABORT, 'not this one'); END`)
	require.NoError(t, err)
	publisher, ch := w.publisher(all.Subscription), w.channel()
	w.send(publisher, about("a", 1, 3)...)
	w.send(publisher, about("poison", 1, 1)...)
	w.send(publisher, about("a", 4, 9)...)
	start(t, inbox.Run)
	_, consumer := w.consume(inbox)
	all.complete(w, []string{"a"}, 9)
	w.eventually(func() bool { return w.ready(ch, "all.dead") == 1 }, "the message to be dead-lettered")
	require.Equal(t, 1.0, gathered(t, consumer)["orderly_rabbit_dead_lettered_total"])
	require.Equal(t, "orders/poison/1", w.take(ch, "all.dead").MessageId)
}

func TestADatabaseThatTakesNothingDeadLettersNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	all := newRecorder("all")
	inbox, pool := w.inbox("all.db", all.Listener)
	_, err := pool.ExecContext(t.Context(), `CREATE TRIGGER full BEFORE INSERT ON inbox BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
	require.NoError(t, err)
	publisher, ch := w.publisher(all.Subscription), w.channel()
	for i := range 3 {
		w.send(publisher, about(fmt.Sprint("s", i), 1, 3)...)
	}
	_, consumer := w.consume(inbox)
	// Each round tries them together and the first one alone.
	began := time.Now()
	w.eventually(func() bool { return time.Since(began) > 6*time.Second || w.ready(ch, "all.dead") > 0 }, "several rounds")
	require.Zero(t, w.ready(ch, "all.dead"))
	require.Zero(t, gathered(t, consumer)["orderly_rabbit_dead_lettered_total"])
	_, err = pool.ExecContext(t.Context(), `DROP TRIGGER full`)
	require.NoError(t, err)
	start(t, inbox.Run)
	all.complete(w, []string{"s0", "s1", "s2"}, 3)
}

// The database may fail for one message alone and for a while, as where a process that hangs holds its row.
func TestAFailureThatPassesDeadLettersNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	all := newRecorder("all")
	pool := testenv.Postgres(t)("inbox").Pool()
	inbox := w.open(pool, listen.PostgreSQL, all.Listener)
	exec := func(query string) {
		_, err := pool.ExecContext(t.Context(), query)
		require.NoError(t, err)
	}
	exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		RAISE EXCEPTION 'not now' USING ERRCODE = 'query_canceled'; END $$`)
	exec(`CREATE TRIGGER refuse BEFORE INSERT ON inbox FOR EACH ROW WHEN (NEW.event_id = 'orders/a/1') EXECUTE FUNCTION refuse()`)
	publisher, ch := w.publisher(all.Subscription), w.channel()
	w.send(publisher, about("a", 1, 2)...)
	w.send(publisher, about("b", 1, 2)...)
	_, consumer := w.consume(inbox)
	// The other message is stored only when the first is suspected.
	w.eventually(func() bool { _, err := inbox.Show(t.Context(), "all", "orders/b/1"); return err == nil }, "the suspicion")
	began := time.Now()
	w.eventually(func() bool { return time.Since(began) > 3*time.Second || w.ready(ch, "all.dead") > 0 }, "another round")
	require.Zero(t, w.ready(ch, "all.dead"))
	require.Zero(t, gathered(t, consumer)["orderly_rabbit_dead_lettered_total"])
	exec(`DROP TRIGGER refuse ON inbox`)
	start(t, inbox.Run)
	all.complete(w, []string{"a", "b"}, 2)
}

func TestAQueueThatIsDeletedIsMadeAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	all := newRecorder("all")
	inbox, _ := w.inbox("all.db", all.Listener)
	start(t, inbox.Run)
	w.consume(inbox)
	publisher := w.publisher(all.Subscription)
	w.send(publisher, about("a", 1, 3)...)
	all.complete(w, []string{"a"}, 3)
	_, err := w.channel().QueueDelete(w.cfg.Prefix+".all", false, false, false)
	require.NoError(t, err)
	w.send(publisher, about("a", 4, 6)...)
	all.complete(w, []string{"a"}, 6)
	w.eventually(w.logs("consuming was interrupted and begins anew"), "the interruption to be said")
}

func TestOneListenersTroubleIsNotTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sound", "away")
	sound, away := newRecorder("sound"), newRecorder("away")
	up, _ := w.inbox("up.db", sound.Listener)
	down, pool := w.inbox("down.db", away.Listener)
	start(t, up.Run)
	_, err := pool.ExecContext(t.Context(), `ALTER TABLE inbox RENAME TO out_of_reach`)
	require.NoError(t, err)
	w.consume(up, down)
	w.send(w.publisher(sound.Subscription, away.Subscription), about("a", 1, 20)...)
	sound.complete(w, []string{"a"}, 20)
	_, err = pool.ExecContext(t.Context(), `ALTER TABLE out_of_reach RENAME TO inbox`)
	require.NoError(t, err)
	start(t, down.Run)
	away.complete(w, []string{"a"}, 20)
}
