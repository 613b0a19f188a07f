// Package events defines the events that the services publish: the envelope and the catalogue of types. It is public, for listeners
// in other repositories. A published type only ever gains optional fields; anything else is a new type with the next version in its
// name.
package events

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// ContentType is the media type of an encoded Event: CloudEvents 1.0, JSON format, structured mode.
const ContentType = event.ApplicationCloudEventsJSON

// schemaBase starts the $id of the JSON Schema of each type. Nothing is served at that address.
const schemaBase = "https://orderly.example.com/schemas/"

// Event is one fact, published after the state it reports was committed. It encodes to a CloudEvent
// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md). ID is <source>/<subject>/<sequence>, so two
// deliveries of the same fact carry the same ID, always.
type Event struct {
	ID string
	// Source is the service that announces the event, such as "orders".
	Source string
	// Subject is what the event is about: an order's or a user's id, or a SKU.
	Subject string
	// Sequence counts the events of one subject from one source: 1, 2, 3, without gaps.
	Sequence int64
	// Type is a name from the catalogue, such as "order.confirmed.v1"; it is also the routing key.
	Type string
	// Time is when the state was recorded, UTC.
	Time time.Time
	// TraceParent is the W3C trace context of the request behind the event, where there is one.
	TraceParent string
	// Data is the JSON object described by the type; decode it with As.
	Data json.RawMessage
}

// Payload is the data of one type of event.
type Payload interface{ EventType() string }

// New makes the event that carries payload. It leaves TraceParent empty.
func New(source, subject string, sequence int64, at time.Time, payload Payload) (Event, error) {
	data, err := json.Marshal(payload)
	if err != nil {
		return Event{}, fmt.Errorf("encode %s about %s: %w", payload.EventType(), subject, err)
	}
	return Event{
		ID:       source + "/" + subject + "/" + strconv.FormatInt(sequence, 10),
		Source:   source,
		Subject:  subject,
		Sequence: sequence,
		Type:     payload.EventType(),
		Time:     at.UTC(),
		Data:     data,
	}, nil
}

// As decodes the data of e. It is an error to ask for another type than the event has.
func As[P Payload](e Event) (P, error) {
	var payload P
	if e.Type != payload.EventType() {
		return payload, fmt.Errorf("event %s is a %s, not a %s", e.ID, e.Type, payload.EventType())
	}
	if err := json.Unmarshal(e.Data, &payload); err != nil {
		return payload, fmt.Errorf("decode event %s (%s): %w", e.ID, e.Type, err)
	}
	return payload, nil
}

// MarshalJSON encodes e as a CloudEvent. The sequence is padded so that it also sorts as text, as the CloudEvents sequence
// extension asks.
func (e Event) MarshalJSON() ([]byte, error) {
	ce := event.New(event.CloudEventsVersionV1)
	ce.SetID(e.ID)
	ce.SetSource(e.Source)
	ce.SetSubject(e.Subject)
	ce.SetType(e.Type)
	ce.SetTime(e.Time)
	ce.SetDataSchema(schemaBase + e.Type + ".json")
	ce.SetExtension("sequence", fmt.Sprintf("%012d", e.Sequence))
	if e.TraceParent != "" {
		ce.SetExtension("traceparent", e.TraceParent)
	}
	if err := ce.SetData(event.ApplicationJSON, e.Data); err != nil {
		return nil, err
	}
	if err := ce.Validate(); err != nil {
		return nil, fmt.Errorf("event %s: %w", e.ID, err)
	}
	return json.Marshal(ce)
}

// UnmarshalJSON decodes a CloudEvent of ours. An event without a subject or a sequence is refused: a listener could not keep
// its order.
func (e *Event) UnmarshalJSON(body []byte) error {
	var ce event.Event
	if err := json.Unmarshal(body, &ce); err != nil {
		return err
	}
	if err := ce.Validate(); err != nil {
		return err
	}
	if ce.Subject() == "" {
		return fmt.Errorf("event %s has no subject", ce.ID())
	}
	padded, _ := ce.Extensions()["sequence"].(string)
	sequence, err := strconv.ParseInt(padded, 10, 64)
	if err != nil || sequence < 1 {
		return fmt.Errorf("event %s has no usable sequence: %q", ce.ID(), padded)
	}
	trace, _ := ce.Extensions()["traceparent"].(string)
	*e = Event{
		ID: ce.ID(), Source: ce.Source(), Subject: ce.Subject(), Sequence: sequence, Type: ce.Type(), Time: ce.Time(),
		TraceParent: trace, Data: ce.Data(),
	}
	return nil
}
