package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := 100; i > 0; i-- {
		hundred = append(hundred, time.Duration(i))
	}
	require.EqualValues(t, 50, percentile(hundred, 50))
	require.EqualValues(t, 99, percentile(hundred, 99))
	require.EqualValues(t, 100, percentile(hundred, 100))
	require.EqualValues(t, 1, percentile(hundred, 0))
	require.EqualValues(t, 2, percentile([]time.Duration{1, 2}, 99))
	require.EqualValues(t, 1, percentile([]time.Duration{1, 2}, 50))
}

// Each benchmark has one turn per round, and each round begins with another one. The turns before the first round do not count.
func TestInTurns(t *testing.T) {
	t.Parallel()
	var turns []string
	take := func(name string) benchmark {
		return benchmark{name, 20, func(_ context.Context, n int) (result, error) {
			if n == 20 {
				turns = append(turns, name)
			}
			return result{took: time.Duration(n) * time.Millisecond, figures: []figure{{"tasks/order", 6}}}, nil
		}}
	}
	var lines strings.Builder
	require.NoError(t, inTurns(t.Context(), 2, []benchmark{take("A/x"), take("B/y")}, &lines, io.Discard))
	require.Equal(t, []string{"A/x", "B/y", "B/y", "A/x"}, turns)
	require.Regexp(t, `^(Benchmark[AB]/[xy]-\d+\t20\t1000000 ns/op\t1000 ops/s\t6 tasks/order\n){4}$`, lines.String())
}

func TestTheFirstErrorEndsTheTurns(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	err := inTurns(t.Context(), 2, []benchmark{{"A/x", 1, func(context.Context, int) (result, error) { return result{}, broken }}}, io.Discard, io.Discard)
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "A/x")
}
