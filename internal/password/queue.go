package password

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/limit"
	"example.com/orderly/internal/source"
)

const (
	// patience is how long a request waits for its turn. It must leave time to hash and to answer within the 5 s that a request has.
	patience = 4 * time.Second
	// mostOfSource and mostInAll bound how many requests wait.
	mostOfSource = 32
	mostInAll    = 320 // about as many as can be hashed within patience
)

var (
	// spending is how long it is remembered what a source has had hashed.
	spending = limit.Rate{Burst: 20, Per: 10 * time.Minute}
	// trust is how long it is remembered that a right password came from a source.
	trust = limit.Rate{Burst: 1, Per: 30 * 24 * time.Hour}
)

// queue hands out turns to hash, of which only a few are had at once. A source waits behind its own requests. Of the sources that wait, the
// one goes first for which least was hashed lately; among equals one from which a right password came before; then the one in whose network
// (source.Network) least was hashed; and then the one that came last. So a flood waits behind each customer who comes once, also a flood from many
// sources: each of them is new only once, and most have neighbours. The last rule is for more new sources than can be served: in their order all of
// them would wait for longer than their patience, and none would be served in time. What a right password took is not counted.
type queue struct {
	spent, around, trusted *limit.Memory // by source, by network, by source

	mu    sync.Mutex
	free  int
	lines map[string]*line // of the sources that wait
	all   int              // requests that wait
	came  uint64           // sources so far that began to wait
}

// line are the requests of one source that wait, first come, first served.
type line struct {
	source  string
	network string
	came    uint64
	waiting []*turn
}

// turn is one request that waits.
type turn struct {
	// given is closed when the turn has come, or when it is refused.
	given   chan struct{}
	refused bool
}

func newQueue(atOnce int) *queue {
	return &queue{spent: limit.NewMemory(nil), around: limit.NewMemory(nil), trusted: limit.NewMemory(nil), free: atOnce, lines: map[string]*line{}}
}

// take waits for a turn of the source, which the caller ends with done. Unavailable busy when none comes in time, and at once when too
// many requests wait.
func (q *queue) take(ctx context.Context, from string) error {
	mine := q.enter(from)
	if mine == nil {
		return busy()
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var err error
	select {
	case <-mine.given:
		if mine.refused {
			return busy()
		}
		return nil
	case <-timer.C:
		err = busy()
	case <-ctx.Done():
		err = fmt.Errorf("wait to hash a password: %w", ctx.Err())
	}
	q.leave(from, mine)
	return err
}

// enter returns a turn that has come or will come; nil where too many wait.
func (q *queue) enter(from string) *turn {
	q.mu.Lock()
	defer q.mu.Unlock()
	mine := &turn{given: make(chan struct{})}
	if q.free > 0 {
		q.free--
		q.spend(from)
		close(mine.given)
		return mine
	}
	own := q.lines[from]
	if own == nil {
		q.came++
		own = &line{source: from, network: source.Network(from), came: q.came}
		q.lines[from] = own
	}
	if len(own.waiting) >= mostOfSource {
		return nil
	}
	own.waiting = append(own.waiting, mine)
	q.all++
	if q.all > mostInAll {
		last := q.pick(func(a, b *line) bool { return q.before(b, a) })
		dropped := last.waiting[len(last.waiting)-1]
		q.remove(last, len(last.waiting)-1)
		dropped.refused = true
		close(dropped.given)
	}
	return mine
}

// leave gives up a turn that did not come in time. One that came at that very moment goes to the next.
func (q *queue) leave(from string, mine *turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if own := q.lines[from]; own != nil {
		if at := slices.Index(own.waiting, mine); at >= 0 {
			q.remove(own, at)
			return
		}
	}
	if !mine.refused {
		q.next()
	}
}

// done ends a turn.
func (q *queue) done() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next()
}

// next gives a turn that has ended to the line that goes first.
func (q *queue) next() {
	first := q.pick(q.before)
	if first == nil {
		q.free++
		return
	}
	given := first.waiting[0]
	q.remove(first, 0)
	q.spend(first.source)
	close(given.given)
}

// pick returns the line that is before all others; nil where none waits.
func (q *queue) pick(before func(a, b *line) bool) (first *line) {
	for _, l := range q.lines {
		if first == nil || before(l, first) {
			first = l
		}
	}
	return first
}

// before reports whether a goes before b.
func (q *queue) before(a, b *line) bool {
	if spentA, spentB := had(q.spent, a.source), had(q.spent, b.source); spentA != spentB {
		return spentA < spentB
	}
	if trustsA, trustsB := q.trusts(a.source), q.trusts(b.source); trustsA != trustsB {
		return trustsA
	}
	if aroundA, aroundB := had(q.around, a.network), had(q.around, b.network); aroundA != aroundB {
		return aroundA < aroundB
	}
	return a.came > b.came
}

func (q *queue) remove(from *line, at int) {
	from.waiting = slices.Delete(from.waiting, at, at+1)
	q.all--
	if len(from.waiting) == 0 {
		delete(q.lines, from.source)
	}
}

func (q *queue) spend(from string) {
	q.spent.Take("", from, spending, 1)
	q.around.Take("", source.Network(from), spending, 1)
}

// had is how much was hashed lately for the source or the network.
func had(spent *limit.Memory, by string) int {
	return spending.Burst - spent.Take("", by, spending, 0).Remaining
}

func (q *queue) trusts(from string) bool {
	return q.trusted.Take("", from, trust, 0).Remaining == 0
}

// right notes that a right password came from the source.
func (q *queue) right(from string) {
	q.spent.Take("", from, spending, -1)
	q.around.Take("", source.Network(from), spending, -1)
	q.trusted.Take("", from, trust, -1) // from now on
	q.trusted.Take("", from, trust, 1)
}

func busy() error {
	busy := fault.New(fault.Unavailable, "busy", "too many passwords wait to be checked; try again shortly")
	busy.RetryAfter = patience
	return busy
}
