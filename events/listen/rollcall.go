package listen

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"example.com/orderly/events"
)

// laterLooked is how many of the sequence numbers behind a late event Overtaken looks at.
const laterLooked = 100

// Unknown returns the ids of those messages that the listener wants and that its inbox has never received, or has pruned. It needs no
// bodies. Unavailable when the listener's database is down.
func (in *Inbox) Unknown(ctx context.Context, listener string, messages []Message) ([]string, error) {
	l := in.listener(listener)
	if l == nil {
		return nil, fmt.Errorf("look for %d events: this inbox has no listener %q", len(messages), listener)
	}
	var wanted []string
	for _, message := range messages {
		if l.Wants(message.Type) {
			wanted = append(wanted, message.ID)
		}
	}
	known, err := in.among(ctx, listener, wanted, false)
	if err != nil {
		return nil, err
	}
	var unknown []string
	for _, id := range wanted {
		if !known[id] {
			unknown = append(unknown, id)
		}
	}
	return unknown, nil
}

// Overtaken returns, before these messages are stored, the ids of those that are new and behind which a later event of their source and
// subject is done already: they are handled all the same, but not in order. It is for events that are delivered once more, for it costs a
// query; it looks a hundred sequence numbers ahead. Unavailable when the listener's database is down.
func (in *Inbox) Overtaken(ctx context.Context, listener string, messages []Message) ([]string, error) {
	var ids []string
	decoded := map[string]events.Event{}
	for _, message := range messages {
		if event, err := decode(message.Body); err == nil {
			ids, decoded[event.ID] = append(ids, event.ID), event
		}
	}
	known, err := in.among(ctx, listener, ids, false)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return known[id] })
	var candidates []string
	for _, id := range ids {
		candidates = append(candidates, following(decoded[id])...)
	}
	done, err := in.among(ctx, listener, candidates, true)
	if err != nil {
		return nil, err
	}
	var overtaken []string
	for _, id := range ids {
		if slices.ContainsFunc(following(decoded[id]), func(next string) bool { return done[next] }) {
			overtaken = append(overtaken, id)
		}
	}
	return overtaken, nil
}

// following are the ids of the next events of e's source and subject.
func following(e events.Event) []string {
	ids := make([]string, laterLooked)
	for i := range ids {
		ids[i] = e.Source + "/" + e.Subject + "/" + strconv.FormatInt(e.Sequence+int64(i)+1, 10)
	}
	return ids
}

// among returns which of these events the inbox has, or only those that are done.
func (in *Inbox) among(ctx context.Context, listener string, ids []string, onlyDone bool) (map[string]bool, error) {
	found := map[string]bool{}
	if len(ids) == 0 {
		return found, nil
	}
	condition, arg := in.db.Among(`event_id`, ids)
	var rows []struct {
		EventID string `db:"event_id"`
		State   string `db:"state"`
	}
	if err := in.db.Select(ctx, &rows, `SELECT event_id, state FROM inbox WHERE listener = ? AND `+condition, listener, arg); err != nil {
		return nil, fmt.Errorf("look for %d events of listener %s: %w", len(ids), listener, err)
	}
	for _, r := range rows {
		found[r.EventID] = !onlyDone || r.State == "done"
	}
	return found, nil
}
