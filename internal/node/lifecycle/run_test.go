package lifecycle_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/node/lifecycle"
)

// diary notes in which order parts stop. Run stops one part at a time, and what it returns comes after all of them.
type diary struct{ stopped []string }

func (d *diary) part(name string, started chan<- string) lifecycle.Part {
	return lifecycle.Part{Name: name, Run: func(ctx context.Context) error {
		started <- name
		<-ctx.Done()
		d.stopped = append(d.stopped, name)
		return nil
	}}
}

func TestRunStopsPartsInReverseOrder(t *testing.T) {
	t.Parallel()
	var d diary
	started := make(chan string, 3)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- lifecycle.Run(ctx, slog.New(slog.DiscardHandler), []lifecycle.Part{d.part("a", started), d.part("b", started), d.part("c", started)})
	}()
	for range 3 {
		<-started
	}
	stop()
	require.NoError(t, <-ended)
	require.Equal(t, []string{"c", "b", "a"}, d.stopped)
}

func TestAPartThatEndsStopsTheOthers(t *testing.T) {
	t.Parallel()
	lost := errors.New("the disk is gone")
	for name, c := range map[string]struct {
		last func(context.Context) error
		want string
	}{
		"with an error":  {func(context.Context) error { return lost }, "last: the disk is gone"},
		"without reason": {func(context.Context) error { return nil }, "last ended by itself"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var d diary
			started := make(chan string, 1)
			err := lifecycle.Run(t.Context(), slog.New(slog.DiscardHandler), []lifecycle.Part{
				d.part("first", started), {Name: "last", Run: func(ctx context.Context) error {
					<-started
					return c.last(ctx)
				}},
			})
			require.EqualError(t, err, c.want)
			require.Equal(t, []string{"first"}, d.stopped)
		})
	}
}

func TestAPartThatFailsWhileItStopsIsReported(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	err := lifecycle.Run(ctx, slog.New(slog.DiscardHandler), []lifecycle.Part{{Name: "api", Run: func(ctx context.Context) error {
		<-ctx.Done()
		return errors.New("a request did not end")
	}}})
	require.EqualError(t, err, "api: a request did not end")
}

func TestClosersCloseInReverseOrderAndOnce(t *testing.T) {
	t.Parallel()
	var closed []string
	var c lifecycle.Closers
	for _, name := range []string{"database", "cache", "client"} {
		c.Add(func() error {
			closed = append(closed, name)
			return errors.New(name + " is lost")
		})
	}
	require.EqualError(t, c.Close(), "client is lost\ncache is lost\ndatabase is lost")
	require.Equal(t, []string{"client", "cache", "database"}, closed)
	require.NoError(t, c.Close())
	require.Len(t, closed, 3)
}

func TestWaitForTriesAgainOnlyWhatIsUnavailable(t *testing.T) {
	t.Parallel()
	var said []string
	say := func(line string) { said = append(said, line) }
	tries := 0
	require.NoError(t, lifecycle.WaitFor(t.Context(), say, "the broker", func(context.Context) error {
		if tries++; tries == 1 {
			return fault.New(fault.Unavailable, "broker_unavailable", "connection refused")
		}
		return nil
	}))
	require.Equal(t, 2, tries)
	require.Equal(t, []string{"Waiting for the broker: connection refused", "Found the broker."}, said)

	tries = 0
	err := lifecycle.WaitFor(t.Context(), say, "the broker", func(context.Context) error {
		tries++
		return errors.New("wrong password")
	})
	require.EqualError(t, err, "wrong password")
	require.Equal(t, 1, tries, "waiting does not mend a wrong password")
}
