package outbox_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/testenv"
)

func TestAClaimOfADeadRelayIsTakenOverAfterItsLease(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx := t.Context()
		box, clock := newBox(open)
		appendOne(t, ctx, box, "a")
		require.Len(t, claim(t, ctx, box), 1)
		clock.advance(lease - time.Millisecond)
		require.Empty(t, claim(t, ctx, box))
		clock.advance(time.Millisecond)
		require.Len(t, claim(t, ctx, box), 1)
	})
}

// A relay that comes late, after another one has taken over, must leave the event to that one: the subject's next event would else be
// published before the other relay publishes this one again, and a queue that is not ours would see an old event after a newer one.
func TestARelayThatWasTakenOverConcludesNothing(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		ctx := t.Context()
		box, clock := newBox(open)
		appendOne(t, ctx, box, "a")
		appendOne(t, ctx, box, "a")
		late := claim(t, ctx, box)
		clock.advance(lease)
		other := claim(t, ctx, box)
		require.Equal(t, named(late), named(other))

		require.NoError(t, box.MarkPublished(ctx, late))
		require.Empty(t, claim(t, ctx, box), "the next event can be published while the one before may still be")
		require.NoError(t, box.Failed(ctx, late[0], errors.New("no"), time.Millisecond))
		clock.advance(time.Second)
		require.Empty(t, claim(t, ctx, box), "an event can be published by two relays at once")

		require.NoError(t, box.MarkPublished(ctx, other))
		require.Equal(t, []string{"orders/a/2"}, named(claim(t, ctx, box)))
	})
}

// While no other relay has taken over, what a late relay has published is marked: it is safe, and need not be published again.
func TestARelayThatIsLateMarksWhatNoOtherRelayHasClaimed(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		box, clock := newBox(open)
		appendOne(t, t.Context(), box, "a")
		late := claim(t, t.Context(), box)
		clock.advance(2 * lease)
		require.NoError(t, box.MarkPublished(t.Context(), late))
		require.Empty(t, claim(t, t.Context(), box))
	})
}
