package users

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	// maxLost bounds the invalidations kept for a retry. Beyond it this process stops trusting the cache as a whole.
	maxLost      = 4096
	firstRetry   = 100 * time.Millisecond
	slowestRetry = 5 * time.Second
)

// invalidation is a tombstone that has to reach Redis.
type invalidation struct {
	key     string
	version int64
	payload string // tombstone, or the sealed one of a revoked session
	ttl     time.Duration
	// outlived is when nothing that was cached before can be alive any more.
	outlived time.Time
}

// invalidations brings tombstones to Redis, and remembers the keys whose tombstone is not there yet.
type invalidations struct {
	entries entries
	now     func() time.Time
	log     *slog.Logger

	mu      sync.Mutex
	lost    map[string]invalidation
	blind   time.Time // until then an entry may be stale without being in lost
	running bool
	stop    chan struct{}
	stopped bool
	workers sync.WaitGroup
}

func newInvalidations(e entries, now func() time.Time, log *slog.Logger) *invalidations {
	return &invalidations{entries: e, now: now, log: log, lost: map[string]invalidation{}, stop: make(chan struct{})}
}

// send writes the tombstone now, or else keeps it for a retry.
func (q *invalidations) send(ctx context.Context, inv invalidation) {
	if _, err := q.entries.put(ctx, inv.key, inv.version, inv.payload, inv.ttl); err != nil {
		q.keep(inv, err)
	}
}

func (q *invalidations) keep(inv invalidation, cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lost) == 0 {
		q.log.Warn("a cache invalidation failed and is retried", "error", cause)
	}
	have, known := q.lost[inv.key]
	switch {
	case known && have.version > inv.version:
	case !known && len(q.lost) >= maxLost:
		if inv.outlived.After(q.blind) {
			q.blind = inv.outlived
		}
	default:
		q.lost[inv.key] = inv
	}
	if !q.running && !q.stopped {
		q.running = true
		q.workers.Go(q.retry)
	}
}

// suspect reports whether what Redis says about key may be older than what the database says.
func (q *invalidations) suspect(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, lost := q.lost[key]
	return lost || (!q.blind.IsZero() && q.now().Before(q.blind))
}

// retry runs while something is lost.
func (q *invalidations) retry() {
	pause := firstRetry
	for {
		wait := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-q.stop:
			wait.Stop()
			return
		case <-wait.C:
		}
		pause = min(2*pause, slowestRetry)
		if q.turn() {
			pause = firstRetry
		}
		if q.finished() {
			return
		}
	}
}

// turn sends what is lost until the first failure, and reports whether there was none.
func (q *invalidations) turn() bool {
	ctx := context.Background()
	for _, inv := range q.snapshot() {
		if q.closed() {
			return false
		}
		if q.now().Before(inv.outlived) {
			if _, err := q.entries.put(ctx, inv.key, inv.version, inv.payload, inv.ttl); err != nil {
				return false
			}
		}
		q.mu.Lock()
		if q.lost[inv.key].version == inv.version { // else a later one was lost meanwhile
			delete(q.lost, inv.key)
		}
		q.mu.Unlock()
	}
	return true
}

func (q *invalidations) snapshot() []invalidation {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Collect(maps.Values(q.lost))
}

func (q *invalidations) finished() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lost) > 0 {
		return false
	}
	q.running = false
	q.log.Info("all lost cache invalidations were made up for")
	return true
}

func (q *invalidations) closed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stopped
}

// close gives up on what is still lost.
func (q *invalidations) close() {
	q.mu.Lock()
	if !q.stopped {
		q.stopped = true
		close(q.stop)
	}
	q.mu.Unlock()
	q.workers.Wait()
}
