package workers

import "time"

// MaxAhead is how many orders may be accepted ahead of their start, StartTimeout how long one start may take.
const (
	MaxAhead     = maxAhead
	StartTimeout = startTimeout
)

// StartsAtOnce is how many sagas are started at a time.
var StartsAtOnce = startsAtOnce()

// SetSlotHold decides, before Run, how long an inline saga may keep a worker.
func (s *Starter) SetSlotHold(longest time.Duration) { s.slotHold = longest }
