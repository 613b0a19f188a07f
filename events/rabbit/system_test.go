package rabbit_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events/listen"
	"example.com/orderly/events/rabbit"
	systemid "example.com/orderly/internal/system"
)

// of is the world's configuration for a system.
func (w *world) of(id systemid.ID) rabbit.Config {
	cfg := w.cfg
	cfg.System = id
	return cfg
}

func (w *world) requireRefusal(err error, ours, theirs systemid.ID) {
	w.t.Helper()
	require.ErrorIs(w.t, err, rabbit.ErrSetup)
	require.ErrorAs(w.t, err, new(*systemid.OtherError))
	for _, words := range []string{"ORDERLY_RABBITMQ_PREFIX", w.cfg.Prefix, "serves system " + string(theirs), "system " + string(ours), "orderly adopt"} {
		require.ErrorContains(w.t, err, words)
	}
}

func TestAPrefixServesOneSystem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	ours, theirs := systemid.NewID(), systemid.NewID()
	free, err := rabbit.Serves(t.Context(), w.of(ours))
	require.NoError(t, err)
	require.Empty(t, free)
	require.NoError(t, rabbit.Check(t.Context(), w.of(ours)))
	require.NoError(t, rabbit.Check(t.Context(), w.of(ours)))
	w.requireRefusal(rabbit.Check(t.Context(), w.of(theirs)), theirs, ours)

	all := newRecorder("all")
	inbox, _ := w.inbox("all.db", all.Listener)
	publisher, err := rabbit.NewPublisher(w.of(theirs), all.Subscription)
	require.NoError(t, err)
	w.requireRefusal(publisher.Publish(t.Context(), about("a", 1, 1))[0], theirs, ours)
	require.NoError(t, publisher.Close())
	consumer, err := rabbit.NewConsumer(w.of(theirs), inbox)
	require.NoError(t, err)
	w.requireRefusal(consumer.Run(t.Context()), theirs, ours)

	for _, asking := range []systemid.ID{ours, theirs} {
		serves, err := rabbit.Serves(t.Context(), w.of(asking))
		require.NoError(t, err)
		require.Equal(t, ours, serves)
	}
	require.NoError(t, rabbit.Check(t.Context(), w.of("")), "a listener outside asks for no system")
}

func TestOfSystemsThatClaimAPrefixAtOnceOneWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids [8]systemid.ID
	var claims [8]error
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range ids {
		ids[i] = systemid.NewID()
		all.Go(func() {
			<-begin
			claims[i] = rabbit.Check(context.Background(), w.of(ids[i]))
		})
	}
	close(begin)
	all.Wait()
	won, err := rabbit.Serves(t.Context(), w.of("nobody"))
	require.NoError(t, err)
	for i := range ids {
		if ids[i] == won {
			require.NoError(t, claims[i])
			continue
		}
		w.requireRefusal(claims[i], ids[i], won)
	}
}

// A broker that was made anew is claimed by the first connection to it, and refuses the other system on its next one.
func TestABrokerMadeAnewIsClaimedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	ours, theirs := systemid.NewID(), systemid.NewID()
	p := w.proxied()
	all := newRecorder("all")
	publisher, err := rabbit.NewPublisher(w.of(ours), all.Subscription)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, publisher.Close()) })
	w.send(publisher, about("a", 1, 1)...)
	require.NoError(t, w.channel().ExchangeDelete(w.cfg.Prefix+".system", false, false))
	p.cut()
	w.eventually(func() bool {
		_ = publisher.Ping(t.Context())
		return gathered(t, publisher)["orderly_rabbit_epochs_total"] == 2
	}, "a new connection")
	w.requireRefusal(rabbit.Check(t.Context(), w.of(theirs)), theirs, ours)

	require.NoError(t, w.channel().ExchangeDelete(w.cfg.Prefix+".system", false, false))
	require.NoError(t, rabbit.Check(t.Context(), w.of(theirs)))
	p.cut()
	w.eventually(func() bool {
		err = publisher.Ping(t.Context())
		return err != nil && strings.Contains(err.Error(), "serves system")
	}, "the refusal")
	w.requireRefusal(err, ours, theirs)
	w.requireRefusal(publisher.Publish(t.Context(), about("a", 2, 2))[0], ours, theirs)
}

func TestAdoptMakesAPrefixServeAnotherSystem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	lost, ours, third := systemid.NewID(), systemid.NewID(), systemid.NewID()
	require.NoError(t, rabbit.Check(t.Context(), w.of(lost)))
	require.Error(t, rabbit.Adopt(t.Context(), w.of(ours), third), "it does not serve the system that is given up")
	w.requireRefusal(rabbit.Check(t.Context(), w.of(ours)), ours, lost)
	require.NoError(t, rabbit.Adopt(t.Context(), w.of(ours), lost))
	require.NoError(t, rabbit.Check(t.Context(), w.of(ours)))
	w.requireRefusal(rabbit.Check(t.Context(), w.of(lost)), lost, ours)
}

func TestConsumedNamesTheQueuesWithAConsumer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all", "idle")
	all, idle := newRecorder("all"), newRecorder("idle")
	consumed := func() []string {
		queues, err := rabbit.Consumed(t.Context(), w.cfg, all.Subscription, idle.Subscription)
		require.NoError(t, err)
		return queues
	}
	require.Empty(t, consumed())
	require.NoError(t, rabbit.Declare(t.Context(), w.cfg, all.Subscription, idle.Subscription))
	inbox, _ := w.inbox("all.db", all.Listener)
	w.consume(inbox)
	w.eventually(func() bool { return len(consumed()) > 0 }, "the consumer to be seen")
	require.Equal(t, []string{w.cfg.Prefix + ".all"}, consumed())
}

// An answer of RabbitMQ ends after 255 bytes. The refusal stands, and says where the id is to be seen.
func TestALongPrefixIsRefusedToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.cfg
	cfg.Prefix += strings.Repeat("x", 100-len(cfg.Prefix))
	t.Cleanup(func() { require.NoError(t, rabbit.Remove(context.Background(), cfg)) })
	cfg.System = systemid.NewID()
	require.NoError(t, rabbit.Check(t.Context(), cfg))
	cfg.System = systemid.NewID()
	err := rabbit.Check(t.Context(), cfg)
	require.ErrorIs(t, err, rabbit.ErrSetup)
	require.ErrorContains(t, err, "list_exchanges")
}

// The rights that operations.md asks for are enough: configure, write and read of what begins with the prefix.
func TestAPlainUserMayClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "all")
	rights := `^` + w.cfg.Prefix + `\..*`
	w.as(rights, rights, rights)
	ours, theirs := systemid.NewID(), systemid.NewID()
	cfg := w.of(ours)
	require.NoError(t, rabbit.Declare(t.Context(), cfg, listen.Subscription{Name: "all"}), "the queues by the same rights")
	require.NoError(t, rabbit.Check(t.Context(), cfg))
	cfg.System = theirs
	w.requireRefusal(rabbit.Check(t.Context(), cfg), theirs, ours)
	require.NoError(t, rabbit.Adopt(t.Context(), cfg, ours))
	require.NoError(t, rabbit.Check(t.Context(), cfg))
}
