package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// benchmark is one side of a comparison. run is one round of it: it does n of what the benchmark is about, and leaves nothing running.
type benchmark struct {
	name string
	n    int
	run  func(ctx context.Context, n int) (result, error)
}

// result is what a round came to: how long its n took, and further figures by unit.
type result struct {
	took    time.Duration
	figures []figure
}

type figure struct {
	unit  string
	value float64
}

// line is the result in Go's benchmark format.
func (b benchmark) line(r result) string {
	text := fmt.Sprintf("Benchmark%s-%d\t%d\t%.0f ns/op", b.name, runtime.GOMAXPROCS(0), b.n, float64(r.took.Nanoseconds())/float64(b.n))
	figures := append([]figure{{"ops/s", float64(b.n) / r.took.Seconds()}}, r.figures...)
	for _, f := range figures {
		text += fmt.Sprintf("\t%.4g %s", f.value, f.unit)
	}
	return text
}

// inTurns lets the benchmarks take turns for that many rounds, after a tenth of a turn each that does not count. Each round begins with
// another one, so that none always runs on what the same one left behind.
func inTurns(ctx context.Context, rounds int, benchmarks []benchmark, lines, progress io.Writer) error {
	for _, b := range benchmarks {
		_, _ = fmt.Fprintln(progress, "warming up", b.name)
		if _, err := b.run(ctx, max(1, b.n/10)); err != nil {
			return fmt.Errorf("%s, warming up: %w", b.name, err)
		}
	}
	for round := range rounds {
		for turn := range benchmarks {
			b := benchmarks[(round+turn)%len(benchmarks)]
			r, err := b.run(ctx, b.n)
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", b.name, round+1, err)
			}
			_, _ = fmt.Fprintf(progress, "round %d of %d, %s: %.1f per second\n", round+1, rounds, b.name, float64(b.n)/r.took.Seconds())
			if _, err := fmt.Fprintln(lines, b.line(r)); err != nil {
				return err
			}
		}
	}
	return nil
}

// percentile is the smallest of the durations that p percent of them do not exceed (nearest rank).
func percentile(durations []time.Duration, p float64) time.Duration {
	sorted := slices.Sorted(slices.Values(durations))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// latencies are p50 and p99 of what was measured, in milliseconds.
func latencies(what string, took []time.Duration) []figure {
	milliseconds := func(p float64) float64 { return float64(percentile(took, p)) / float64(time.Millisecond) }
	return []figure{{"p50-" + what + "-ms", milliseconds(50)}, {"p99-" + what + "-ms", milliseconds(99)}}
}

// inParallel lets clients do n things, each the next one as soon as it has done the last.
func inParallel(ctx context.Context, clients, n int, do func(ctx context.Context, i int) error) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(clients, n) {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if err := do(ctx, i); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}
