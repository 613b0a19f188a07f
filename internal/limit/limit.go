// Package limit counts what comes under a key against a rate, in the memory of the process or in a Redis that all processes share. Both
// use one arithmetic, the generic cell rate algorithm (GCRA): a key has one number, the moment at which it owes nothing any more.
package limit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is how much may come: Burst at once, and Burst in each Per, evenly, after that. The zero value is no limit.
type Rate struct {
	Burst int
	Per   time.Duration
}

const (
	maxBurst = 1_000_000
	minPer   = time.Second
	maxPer   = 30 * 24 * time.Hour
)

// ParseRate reads a rate such as 10/1m, ten at once and ten a minute; "off" and the empty text are no limit.
func ParseRate(text string) (Rate, error) {
	if text == "" || text == "off" {
		return Rate{}, nil
	}
	number, per, _ := strings.Cut(text, "/")
	burst, errBurst := strconv.Atoi(number)
	every, errPer := time.ParseDuration(per)
	if errBurst != nil || errPer != nil {
		return Rate{}, fmt.Errorf("%q is no rate such as 10/1m (ten at once, and ten a minute), nor off", text)
	}
	rate := Rate{Burst: burst, Per: every}
	if burst < 1 || burst > maxBurst || every < minPer || every > maxPer {
		return Rate{}, fmt.Errorf("%q is not between 1 and %d in a time between %s and %s", text, maxBurst, minPer, maxPer)
	}
	return rate, nil
}

// Unlimited reports that the rate is no limit.
func (r Rate) Unlimited() bool { return r.Burst == 0 }

// cost is the time after which one more may come, in whole microseconds, in which Redis counts.
func (r Rate) cost() time.Duration {
	return (r.Per / time.Duration(r.Burst)).Truncate(time.Microsecond)
}

// most is what a key may owe.
func (r Rate) most() time.Duration { return r.cost() * time.Duration(r.Burst) }

// Verdict is what came of a request to take from a key.
type Verdict struct {
	// Allowed says that it was taken. Otherwise nothing was.
	Allowed bool
	// Remaining is how many could be taken now.
	Remaining int
	// RetryAfter is how long it takes until what was refused can be taken; zero where it was allowed.
	RetryAfter time.Duration
	// ResetAfter is how long it takes until the key owes nothing.
	ResetAfter time.Duration
}

// debt is how long a key that owed the first duration owes after n more were asked for, and what is said about it. n may be zero, to ask, or
// negative, to give back what was taken.
func (r Rate) debt(owed time.Duration, n int) (time.Duration, Verdict) {
	owed = min(max(0, owed), r.most())
	next := max(0, owed+time.Duration(n)*r.cost())
	if n > 0 && next > r.most() {
		return owed, r.verdict(owed, next-r.most())
	}
	return next, r.verdict(next, 0)
}

// verdict tells of a key that owes so much, and that must wait so long for what was refused.
func (r Rate) verdict(owed, wait time.Duration) Verdict {
	return Verdict{
		Allowed: wait <= 0, Remaining: int(max(0, r.most()-owed) / r.cost()), RetryAfter: max(0, wait), ResetAfter: owed,
	}
}
