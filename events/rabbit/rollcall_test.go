package rabbit_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"example.com/orderly/workers"
)

func TestNoListenerIsLeftOutInSilence(t *testing.T) {
	t.Parallel()
	subjects := []string{"a", "b", "c", "d", "e"}
	unbind := func(s *shop, ch *amqp.Channel) {
		require.NoError(t, ch.QueueUnbind(s.cfg.Prefix+".some", parked, s.cfg.Prefix+".events", nil))
	}
	for name, breaks := range map[string]func(s *shop, ch *amqp.Channel){
		"queue deleted while its listener consumes": func(s *shop, ch *amqp.Channel) {
			s.remove(ch, []string{"some"}, nil)
			s.write(subjects...)
		},
		"queue deleted while its listener is away": func(s *shop, ch *amqp.Channel) {
			s.leave()
			s.remove(ch, []string{"some"}, nil)
			s.write(subjects...)
			s.attend()
		},
		"one binding removed": func(s *shop, ch *amqp.Channel) {
			unbind(s, ch)
			s.write(subjects...)
		},
		"one binding removed, and then the direct exchange": func(s *shop, ch *amqp.Channel) {
			unbind(s, ch)
			s.write(subjects...)
			s.remove(ch, nil, []string{"direct"})
		},
		"the events' exchange deleted": func(s *shop, ch *amqp.Channel) {
			unbind(s, ch)
			s.write(subjects...)
			s.remove(ch, nil, []string{"events"})
		},
		"broker made anew, empty": func(s *shop, ch *amqp.Channel) {
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
			s := newShop(t, quick)
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

var working = flag.Bool("working", false, "run TestHowLongAListenerLacksEvents, at the pace of production, which takes minutes")

// With -working it prints how many of 200 events, published while a binding is missing, a listener still lacks, and when.
func TestHowLongAListenerLacksEvents(t *testing.T) {
	if !*working {
		t.Skip("takes minutes: go test ./events/rabbit -run TestHowLongAListenerLacksEvents -v -working")
	}
	s := newShop(t, workers.RollCallPeriods())
	s.write("before")
	s.complete() // both listeners consume
	require.NoError(t, s.channel().QueueUnbind(s.cfg.Prefix+".some", parked, s.cfg.Prefix+".events", nil))
	began := time.Now()
	var subjects []string
	for n := range 200 {
		subjects = append(subjects, fmt.Sprint("s", n))
	}
	s.write(subjects...)
	last := -1
	require.Eventually(t, func() bool {
		if lacking := 201 - s.some.total(); lacking != last {
			t.Logf("after %5.1f s it lacks %d", time.Since(began).Seconds(), lacking)
			last = lacking
		}
		return last == 0
	}, 10*time.Minute, 5*time.Millisecond)
	s.complete()
}
