package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/orderly/internal/demo"
	"example.com/orderly/internal/orders"
)

// benchLook is how often it is looked whether everything has come to rest: rarely enough not to be part of the work.
const benchLook = 100 * time.Millisecond

// placement is a way to run the steps of a saga.
type placement struct {
	name   string
	inline bool
}

// target is the stack that is measured: one of our own, into which one can look, or one that is seen from outside.
type target interface {
	// placements are the ways it can run steps in; choose decides for the sagas started from now on.
	placements() []placement
	choose(p placement)
	// await returns when the order has ended.
	await(ctx context.Context, orderID string) error
	// settle returns when these orders, and no others are under way, have completed and everybody has applied their events.
	settle(ctx context.Context, orderIDs []string) error
	// ended is when each of the orders completed; an error if one came to another end.
	ended(ctx context.Context, orderIDs []string) ([]time.Time, error)
	// asked is what the databases were asked for so far, not counting what it took to look; ok is false where that can't be known.
	asked(ctx context.Context) (total asked, ok bool)
}

// privateTarget is a stack in this process.
type privateTarget struct {
	stack *stack
	// journal and mails are what the listeners of these names have applied when everything is at rest.
	journal, mails int64
	looked         atomic.Int64
}

func (t *privateTarget) placements() []placement {
	return []placement{{"orders, regular steps", false}, {"orders, inline steps", true}}
}

func (t *privateTarget) choose(p placement) { t.stack.starter.Inline(p.inline) }

func (t *privateTarget) await(ctx context.Context, orderID string) error {
	return t.stack.starter.Await(ctx, orderID)
}

func (t *privateTarget) settle(ctx context.Context, orderIDs []string) error {
	if err := t.applied(ctx, len(demo.CompletedEvents)*len(orderIDs), len(orderIDs)); err != nil {
		if _, unhealthy := t.ended(context.WithoutCancel(ctx), orderIDs); unhealthy != nil {
			err = errors.Join(unhealthy, err)
		}
		return err
	}
	// The sagas themselves: asked of those placed last, so that asking does not become the work.
	group, ctx := errgroup.WithContext(ctx)
	for _, id := range orderIDs[max(0, len(orderIDs)-16):] {
		group.Go(func() error { return t.stack.starter.Await(ctx, id) })
	}
	return group.Wait()
}

// applied returns when so many more events are in the journal and mails are sent, and nothing is on its way any more.
func (t *privateTarget) applied(ctx context.Context, events, mails int) error {
	wantJournal, wantMails := t.journal+int64(events), t.mails+int64(mails)
	tick := time.NewTicker(benchLook)
	defer tick.Stop()
	for moved := time.Now(); ; {
		journal, sent, pending, err := t.listened(ctx)
		if err != nil {
			return err
		}
		if journal != t.journal || sent != t.mails {
			moved = time.Now()
			t.journal, t.mails = journal, sent
		}
		if journal >= wantJournal && sent >= wantMails && pending == 0 {
			if waiting, err := t.unpublished(ctx); err != nil || waiting == 0 {
				return err
			}
		}
		if time.Since(moved) > benchPatience {
			return fmt.Errorf("nothing has moved for %s: the journal has %d events more of %d, %d mails of %d are sent, %d events wait in inboxes",
				benchPatience, journal-wantJournal+int64(events), events, sent-wantMails+int64(mails), mails, pending)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// listened is what the listeners have applied since the start, and what they have yet to.
func (t *privateTarget) listened(ctx context.Context) (journal, mails, pending int64, err error) {
	for _, inbox := range t.stack.inboxes {
		stats, err := inbox.Stats(ctx)
		t.looked.Add(1)
		if err != nil {
			return 0, 0, 0, err
		}
		for _, s := range stats {
			if s.Dead > 0 {
				return 0, 0, 0, fmt.Errorf("listener %s has given up on %d events", s.Listener, s.Dead)
			}
			pending += s.Pending
			switch s.Listener {
			case "journal":
				journal = s.Done
			case "notifications":
				mails = s.Done
			}
		}
	}
	return journal, mails, pending, nil
}

func (t *privateTarget) unpublished(ctx context.Context) (waiting int64, err error) {
	for _, box := range t.stack.relayed {
		backlog, _, err := box.Backlog(ctx)
		t.looked.Add(1)
		if err != nil {
			return 0, err
		}
		waiting += backlog
	}
	return waiting, nil
}

func (t *privateTarget) ended(ctx context.Context, orderIDs []string) ([]time.Time, error) {
	at := make([]time.Time, len(orderIDs))
	for i, id := range orderIDs {
		order, err := t.stack.orders.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		if order.State != orders.Completed {
			return nil, fmt.Errorf("order %s is %s %s %s and should be completed", id, order.State, order.Reason, order.AttentionReason)
		}
		at[i] = order.UpdatedAt
	}
	return at, nil
}

func (t *privateTarget) asked(context.Context) (total asked, ok bool) {
	total.statements = -t.looked.Load()
	for service := range t.stack.databases {
		of := t.stack.asked(service)
		total.statements += of.statements
		total.transactions += of.transactions
	}
	return total, true
}
