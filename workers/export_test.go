package workers

import "time"

// MostAhead is how many starts nobody waits for, TurnsAtOnce how many are on their way at a time, StartTimeout how long each may be.
const (
	MostAhead    = mostAhead
	TurnsAtOnce  = turnsAtOnce
	StartTimeout = startTimeout
)

// Ahead tells whether Mark runs, and sagas are started ahead.
func (s *Starter) Ahead() bool {
	s.ahead.lock.Lock()
	defer s.ahead.lock.Unlock()
	return s.ahead.open
}

// SetLongestTurn decides after what time an inline saga does not count any more.
func (s *Starter) SetLongestTurn(longest time.Duration) { s.turns.longest = longest }
