package measure_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/measure"
)

func TestMedianAndSpread(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                    string
		values                  measure.Series
		median, lowest, highest float64
	}{
		{"none", nil, 0, 0, 0},
		{"one", measure.Series{3}, 3, 3, 3},
		{"odd, unsorted", measure.Series{9, 1, 5}, 5, 1, 9},
		{"even", measure.Series{4, 1, 3, 2}, 2.5, 1, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			given := append(measure.Series(nil), c.values...)
			require.Equal(t, c.median, c.values.Median())
			lowest, highest := c.values.Spread()
			require.Equal(t, c.lowest, lowest)
			require.Equal(t, c.highest, highest)
			require.Equal(t, given, c.values, "the rounds stay in their order")
		})
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := 100; i > 0; i-- {
		hundred = append(hundred, time.Duration(i))
	}
	require.EqualValues(t, 50, measure.Percentile(hundred, 50))
	require.EqualValues(t, 99, measure.Percentile(hundred, 99))
	require.EqualValues(t, 100, measure.Percentile(hundred, 100))
	require.EqualValues(t, 1, measure.Percentile(hundred, 0))
	require.EqualValues(t, 2, measure.Percentile([]time.Duration{1, 2}, 99))
	require.EqualValues(t, 1, measure.Percentile([]time.Duration{1, 2}, 50))
	require.Zero(t, measure.Percentile(nil, 50))
}

func TestUnits(t *testing.T) {
	t.Parallel()
	require.Equal(t, 1.5, measure.Milliseconds(1500*time.Microsecond))
	require.Equal(t, 20.0, measure.PerSecond(10, 500*time.Millisecond))
	require.Zero(t, measure.PerSecond(10, 0))
}

// Each contestant has one turn per round, and each round begins with another one.
func TestAlternate(t *testing.T) {
	t.Parallel()
	var order []string
	contestant := func(name string) measure.Contestant {
		return measure.Contestant{Name: name, Run: func(context.Context) (measure.Figures, error) {
			order = append(order, name)
			return measure.Figures{"turn": float64(len(order))}, nil
		}}
	}
	var told []int
	results, err := measure.Alternate(t.Context(), 4, []measure.Contestant{contestant("a"), contestant("b"), contestant("c")},
		func(round int, name string, figures measure.Figures) {
			require.Equal(t, order[len(order)-1], name)
			require.EqualValues(t, len(order), figures["turn"])
			told = append(told, round)
		})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c", "b", "c", "a", "c", "a", "b", "a", "b", "c"}, order)
	require.Equal(t, []int{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}, told)
	require.Equal(t, measure.Series{1, 6, 8, 10}, results["a"]["turn"])
}

func TestAlternateEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	turns := 0
	_, err := measure.Alternate(t.Context(), 3, []measure.Contestant{{Name: "fragile", Run: func(context.Context) (measure.Figures, error) {
		turns++
		if turns == 2 {
			return nil, broken
		}
		return measure.Figures{}, nil
	}}}, func(int, string, measure.Figures) {})
	require.ErrorIs(t, err, broken)
	require.EqualError(t, err, "round 2, fragile: broken")
	require.Equal(t, 2, turns)
}

func TestRatio(t *testing.T) {
	t.Parallel()
	v, ok := measure.Ratio("r", measure.Series{80, 90, 70}, measure.Series{100, 100, 140}, measure.Bound{AtLeast: 0.8})
	require.True(t, ok)
	require.Equal(t, 0.8, v.Value, "the ratio of the medians")
	require.Equal(t, 0.5, v.Lowest)
	require.Equal(t, 0.9, v.Highest)
	require.Equal(t, "at least 0.8", v.Budget)
	require.True(t, *v.Met)

	for name, sides := range map[string][2]measure.Series{
		"nothing measured":          {nil, nil},
		"one side is missing":       {{1}, nil},
		"not the same rounds":       {{1, 2}, {1}},
		"nothing to compare with":   {{1}, {0}},
		"nothing to compare with 2": {{1, 1, 1}, {1, 1, 0}},
	} {
		_, ok := measure.Ratio(name, sides[0], sides[1], measure.Bound{})
		require.False(t, ok, name)
	}
}

func TestBudgets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		value float64
		bound measure.Bound
		met   bool
	}{
		{"at least, just", 0.8, measure.Bound{AtLeast: 0.8}, true},
		{"at least, not", 0.79, measure.Bound{AtLeast: 0.8}, false},
		{"at most, just", 16, measure.Bound{AtMost: 16}, true},
		{"at most, not", 16.5, measure.Bound{AtMost: 16}, false},
	} {
		v, ok := measure.Judge(c.name, measure.Series{c.value}, c.bound)
		require.True(t, ok)
		require.Equal(t, c.met, *v.Met, c.name)
	}
	v, ok := measure.Judge("no budget", measure.Series{1}, measure.Bound{})
	require.True(t, ok)
	require.Nil(t, v.Met)
	_, ok = measure.Judge("nothing", nil, measure.Bound{})
	require.False(t, ok)
}
