package sandbox

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

type outage string

const (
	outageOff         outage = "off"
	outageUnavailable outage = "unavailable" // every call of /v1 is answered 503
	outageDrop        outage = "drop"        // every call of /v1 loses its connection before it has any effect
)

// hold freezes the first matching call that comes by; later calls pass. "before" is a request late in the network: it takes effect
// when released. "during" is one the provider is still working on: others with its key get a 409. "after" has taken effect, and
// only its answer waits.
type hold struct {
	ID      string `json:"id"`
	Call    string `json:"call"`
	OrderID string `json:"order_id"` // empty: any order
	When    string `json:"when"`     // "before", "during" or "after"
	Taken   bool   `json:"taken"`    // a call is frozen in it

	release chan struct{}
}

// faults are the switches for tests. They are forgotten with the process.
type faults struct {
	mu     sync.Mutex
	holds  map[string]*hold
	calls  map[string]map[string]int
	outage outage
	closed chan struct{}
	once   *sync.Once
}

func newFaults() faults {
	return faults{
		holds: map[string]*hold{}, calls: map[string]map[string]int{}, outage: outageOff, closed: make(chan struct{}), once: &sync.Once{},
	}
}

func (f *faults) close() { f.once.Do(func() { close(f.closed) }) }

func (f *faults) outageMode() outage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.outage
}

func (f *faults) setOutage(mode outage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outage = mode
}

// count notes a call that got past the key of the account; replays count too.
func (f *faults) count(orderID, call string) {
	if orderID == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls[orderID] == nil {
		f.calls[orderID] = map[string]int{}
	}
	f.calls[orderID][call]++
}

// counted returns the calls of one order, or of all if it is empty.
func (f *faults) counted(orderID string) map[string]map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]map[string]int{}
	for id, calls := range f.calls {
		if orderID == "" || id == orderID {
			out[id] = maps.Clone(calls)
		}
	}
	return out
}

func (f *faults) addHold(call, orderID, when string) hold {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &hold{ID: "hold_" + rand.Text(), Call: call, OrderID: orderID, When: when, release: make(chan struct{})}
	f.holds[h.ID] = h
	return *h
}

func (f *faults) listHolds() []hold {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []hold{}
	for _, h := range f.holds {
		out = append(out, *h)
	}
	slices.SortFunc(out, func(a, b hold) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// letGo ends a hold and reports whether there was one.
func (f *faults) letGo(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, found := f.holds[id]
	if found {
		close(h.release)
		delete(f.holds, id)
	}
	return found
}

// pass waits in a hold made for this call, if there is one. It returns false if the sandbox closed meanwhile.
func (f *faults) pass(call, orderID, when string) bool {
	f.mu.Lock()
	var mine *hold
	for _, h := range f.holds {
		if !h.Taken && h.Call == call && h.When == when && (h.OrderID == "" || h.OrderID == orderID) {
			mine, h.Taken = h, true
			break
		}
	}
	f.mu.Unlock()
	if mine == nil {
		return true
	}
	select {
	case <-mine.release:
		return true
	case <-f.closed:
		return false
	}
}

func (f *faults) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-f.closed:
		return false
	}
}
