// Package local is the transport within one process: it stores each event in the inboxes of the listeners there. There is no broker,
// and still no event is lost, and the publisher does not wait for a handler.
package local

import (
	"context"
	"errors"
	"sync"

	"example.com/orderly/events/listen"
)

// Transport delivers to the listeners of a fixed set of inboxes.
type Transport struct{ inboxes []*listen.Inbox }

// New returns the transport to these inboxes. It is an error if two of their listeners have the same name.
func New(inboxes ...*listen.Inbox) (*Transport, error) {
	if err := listen.Unique(inboxes...); err != nil {
		return nil, err
	}
	return &Transport{inboxes: inboxes}, nil
}

// Publish stores each message in the inbox of every listener that wants its type. The result has one element per message: nil
// when all of them have it on disk. Otherwise the message must be published again; inboxes that have it already ignore it.
func (t *Transport) Publish(ctx context.Context, messages []listen.Message) []error {
	results := make([]error, len(messages))
	var lock sync.Mutex
	var all sync.WaitGroup
	for _, inbox := range t.inboxes {
		for _, listener := range inbox.Subscriptions() {
			var wanted []listen.Message
			var places []int
			for i, message := range messages {
				if listener.Wants(message.Type) {
					wanted, places = append(wanted, message), append(places, i)
				}
			}
			if len(wanted) == 0 {
				continue
			}
			// At the same time, so that a database that hangs does not keep the others waiting.
			all.Go(func() {
				err := inbox.Store(ctx, listener.Name, wanted)
				if err == nil {
					return
				}
				lock.Lock()
				defer lock.Unlock()
				for _, i := range places {
					results[i] = errors.Join(results[i], err)
				}
			})
		}
	}
	all.Wait()
	return results
}
