// Package backoff says how long to wait before something that failed is tried again, and waits.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// After returns the pause after this many failures in a row, which count as one at least: shortest, doubled with each further failure up
// to longest. The second half of it is random, so that many processes do not come back at the same moment.
func After(failures int, shortest, longest time.Duration) time.Duration {
	pause := min(shortest<<min(max(failures-1, 0), 10), longest)
	return pause/2 + rand.N(pause/2)
}

// Wait returns when the pause is over, something was received from woken (nil: never), or ctx has ended; false in that last case.
func Wait(ctx context.Context, pause time.Duration, woken <-chan struct{}) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-woken:
	case <-timer.C:
	}
	return ctx.Err() == nil
}
