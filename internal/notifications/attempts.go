package notifications

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
)

// schedule is how long a mail waits after each attempt that failed: 77 attempts within three days. The first waits are for greylisting,
// which takes minutes; the hours are for a mail server that is down for a night or a weekend, a mailbox that is full, a limit per day.
var schedule = slices.Concat(
	[]time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute},
	slices.Repeat([]time.Duration{time.Hour}, 71),
)

const (
	// maxDoubts is how often a mail is handed over whole without an answer. A customer may get it that many times, so that the schedule of a
	// mail that the server never saw is not for this one.
	maxDoubts = 5
	// doubtTimeout bounds writing a doubt down, which must be tried although the attempt has ended.
	doubtTimeout = 5 * time.Second
)

// failed says whether a mail that was not accepted is tried again.
func (s *Service) failed(ctx context.Context, e events.Event, err error) error {
	failure, known := errors.AsType[*Failure](err)
	err = fmt.Errorf("send the mail about event %s: %w", e.ID, err)
	switch {
	case !known:
		return err
	case failure.Outcome == Recipient:
		return listen.Permanent(err)
	case !failure.Doubtful:
		return err
	}
	times, lost := s.doubt(ctx, e.ID)
	if lost != nil {
		return errors.Join(err, lost)
	}
	err = fmt.Errorf("%w (handed over %d times without an answer: the customer may have it)", err, times)
	if times >= maxDoubts {
		return listen.Permanent(err)
	}
	return err
}

// doubt counts that the mail about an event was handed over without an answer.
func (s *Service) doubt(ctx context.Context, eventID string) (times int, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), doubtTimeout)
	defer cancel()
	if err := s.db.Change(ctx, &times, `
		INSERT INTO doubtful_mails (event_id, times) VALUES (?, 1)
		ON CONFLICT (event_id) DO UPDATE SET times = doubtful_mails.times + 1
		RETURNING times`, eventID); err != nil {
		return 0, fmt.Errorf("count the attempts without an answer: %w", err)
	}
	return times, nil
}
