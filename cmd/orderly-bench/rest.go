package main

import (
	"context"
	"fmt"
	"time"

	"example.com/orderly/internal/node"
)

const (
	// lookEvery is how often it is looked whether everything has come to rest: rarely enough not to be part of the work.
	lookEvery = 100 * time.Millisecond
	// patience is how long the program waits for something to go on before it takes it for stuck.
	patience = time.Minute
)

// rest waits until the system is at rest.
type rest struct {
	node node.Inside
	// journal and mails are what these listeners had handled when the system was last at rest.
	journal, mails int64
	looked         int64 // statements that looking took
}

// await returns when so many more events are in the journal and mails are sent, and no event is on its way any more.
func (r *rest) await(ctx context.Context, events, mails int) error {
	wantJournal, wantMails := r.journal+int64(events), r.mails+int64(mails)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for moved := time.Now(); ; {
		journal, sent, pending, err := r.handled(ctx)
		if err != nil {
			return err
		}
		if journal != r.journal || sent != r.mails {
			moved = time.Now()
			r.journal, r.mails = journal, sent
		}
		if journal >= wantJournal && sent >= wantMails && pending == 0 {
			if waiting, err := r.unpublished(ctx); err != nil || waiting == 0 {
				return err
			}
		}
		if time.Since(moved) > patience {
			return fmt.Errorf("nothing has moved for %s: the journal has %d events more of %d, %d mails of %d are sent, %d events wait in inboxes",
				patience, journal-wantJournal+int64(events), events, sent-wantMails+int64(mails), mails, pending)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// handled is what the listeners have handled since the start, and what they have yet to.
func (r *rest) handled(ctx context.Context) (journal, mails, pending int64, err error) {
	for _, inbox := range r.node.Inboxes {
		stats, err := inbox.Stats(ctx)
		r.looked++
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

func (r *rest) unpublished(ctx context.Context) (waiting int64, err error) {
	for _, box := range r.node.Outboxes {
		backlog, _, err := box.Backlog(ctx)
		r.looked++
		if err != nil {
			return 0, err
		}
		waiting += backlog
	}
	return waiting, nil
}

// asked is what the databases were asked for so far, not counting what it took to look.
func (r *rest) asked() (statements, transactions int64) {
	statements, transactions = r.node.Asked()
	return statements - r.looked, transactions
}
