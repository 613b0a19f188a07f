package limit

import (
	"container/heap"
	"sync"
	"time"
)

// maxKeys bounds the keys of one limit in the memory of a process: about 20 MB.
const maxKeys = 100_000

// Memory counts in the memory of this process. The number of keys of each limit is bounded: where there are more, the key that owes least is
// forgotten, so that a flood of new keys loses what it owes itself and not what the one owes that asks most. Safe for concurrent use.
type Memory struct {
	now  func() time.Time
	keys int

	mu     sync.Mutex
	limits map[string]*debts
}

// NewMemory returns a Memory that has counted nothing yet. It takes the time from now; time.Now if nil.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{now: now, keys: maxKeys, limits: map[string]*debts{}}
}

// Take takes n from the key of the limit of this name, where the rate has so much left. With n zero it only tells, and a negative n gives back.
func (m *Memory) Take(name, key string, rate Rate, n int) Verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	all := m.limit(name)
	owed, verdict := rate.debt(all.of(key).Sub(now), n)
	m.put(all, key, now, owed)
	return verdict
}

// learn makes the key owe as much as another memory said.
func (m *Memory) learn(name, key string, owed time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(m.limit(name), key, m.now(), owed)
}

func (m *Memory) limit(name string) *debts {
	all := m.limits[name]
	if all == nil {
		all = &debts{at: map[string]int{}}
		m.limits[name] = all
	}
	return all
}

func (m *Memory) put(all *debts, key string, now time.Time, owed time.Duration) {
	// What owes nothing is as good as unknown.
	for all.Len() > 0 && !all.heap[0].until.After(now) {
		heap.Pop(all)
	}
	at, known := all.at[key]
	switch {
	case known && owed <= 0:
		heap.Remove(all, at)
	case known:
		all.heap[at].until = now.Add(owed)
		heap.Fix(all, at)
	case owed > 0:
		heap.Push(all, debt{key, now.Add(owed)})
		if all.Len() > m.keys {
			heap.Pop(all)
		}
	}
}

// debt is until when a key owes something.
type debt struct {
	key   string
	until time.Time
}

// debts are those of one limit, as a heap whose first owes least.
type debts struct {
	heap []debt
	at   map[string]int // where in the heap each key is
}

// of is until when the key owes something; the zero time where nothing is known of it.
func (d *debts) of(key string) time.Time {
	if at, known := d.at[key]; known {
		return d.heap[at].until
	}
	return time.Time{}
}

// Len implements heap.Interface.
func (d *debts) Len() int { return len(d.heap) }

// Less implements heap.Interface.
func (d *debts) Less(i, j int) bool { return d.heap[i].until.Before(d.heap[j].until) }

// Swap implements heap.Interface.
func (d *debts) Swap(i, j int) {
	d.heap[i], d.heap[j] = d.heap[j], d.heap[i]
	d.at[d.heap[i].key], d.at[d.heap[j].key] = i, j
}

// Push implements heap.Interface.
func (d *debts) Push(x any) {
	added := x.(debt)
	d.at[added.key] = len(d.heap)
	d.heap = append(d.heap, added)
}

// Pop implements heap.Interface.
func (d *debts) Pop() any {
	last := d.heap[len(d.heap)-1]
	d.heap[len(d.heap)-1] = debt{} // so that its key can be freed
	d.heap = d.heap[:len(d.heap)-1]
	delete(d.at, last.key)
	return last
}
