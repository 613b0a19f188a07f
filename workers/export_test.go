package workers

import "time"

// MostAhead is how many starts nobody waits for, StartTimeout how long each may be.
const (
	MostAhead    = mostAhead
	StartTimeout = startTimeout
)

// TurnsAtOnce is how many are on their way at a time.
var TurnsAtOnce = turnsAtOnce()

// Ahead tells whether Mark runs, and sagas are started ahead.
func (s *Starter) Ahead() bool {
	s.ahead.lock.Lock()
	defer s.ahead.lock.Unlock()
	return s.ahead.open
}

// SetLongestTurn decides after what time an inline saga does not count any more.
func (s *Starter) SetLongestTurn(longest time.Duration) { s.turns.longest = longest }
