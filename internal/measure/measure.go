// Package measure compares contestants: they take turns for some rounds, and what is told about each is its median and how far its
// rounds lie apart. It knows nothing about what is measured.
package measure

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// Series are the values of one figure, one per round.
type Series []float64

// Median is the middle value, of an even number the mean of the two in the middle; 0 of none.
func (s Series) Median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Spread is the lowest and the highest value; 0 and 0 of none.
func (s Series) Spread() (lowest, highest float64) {
	if len(s) == 0 {
		return 0, 0
	}
	return slices.Min(s), slices.Max(s)
}

// Percentile is the smallest of the durations that p percent of them do not exceed (nearest rank); 0 of none.
func Percentile(durations []time.Duration, p float64) time.Duration {
	if len(durations) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(durations))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Milliseconds is d in the unit that reports use for times.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// PerSecond is how many of count there were in each second of took; 0 when no time passed.
func PerSecond(count int, took time.Duration) float64 {
	if took <= 0 {
		return 0
	}
	return float64(count) / took.Seconds()
}

// Figures are what one round of one contestant came to, by figure.
type Figures map[string]float64

// Contestant is one side of a comparison. Run is one round of it, and leaves nothing running.
type Contestant struct {
	Name string
	Run  func(ctx context.Context) (Figures, error)
}

// Results are the figures of all rounds, by contestant and figure.
type Results map[string]map[string]Series

// Alternate lets the contestants take turns for that many rounds. Each round begins with another one, so that none always runs on
// what the same one left behind. tell hears of each turn when it is over. The first error ends it, and names the contestant.
func Alternate(
	ctx context.Context, rounds int, contestants []Contestant, tell func(round int, contestant string, figures Figures),
) (Results, error) {
	results := Results{}
	for round := range rounds {
		for turn := range contestants {
			c := contestants[(round+turn)%len(contestants)]
			figures, err := c.Run(ctx)
			if err != nil {
				return nil, fmt.Errorf("round %d, %s: %w", round+1, c.Name, err)
			}
			if results[c.Name] == nil {
				results[c.Name] = map[string]Series{}
			}
			for name, value := range figures {
				results[c.Name][name] = append(results[c.Name][name], value)
			}
			tell(round+1, c.Name, figures)
		}
	}
	return results, nil
}
