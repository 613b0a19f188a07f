package listen

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
)

// maxField bounds id, source, subject and type: beyond it an engine's index could refuse the row for ever.
const maxField = 500

// rowsPerInsert keeps a statement well below either engine's limit of parameters.
const rowsPerInsert = 100

// undecodablePrefix starts the key of a message whose id cannot be read.
const undecodablePrefix = "undecodable/"

// encodedPrefix marks a stored body that is not text. No JSON starts with it.
const encodedPrefix = "base64:"

// Message is an event as it travels: encoded, with what a transport needs to route it.
type Message struct {
	// ID is the event's id, Type its type and routing key. An inbox reads both from Body where that can be decoded.
	ID   string
	Type string
	Body []byte
}

// Encode makes the message that carries e.
func Encode(e events.Event) (Message, error) {
	body, err := json.Marshal(e)
	return Message{ID: e.ID, Type: e.Type, Body: body}, err
}

type row struct {
	Listener    string        `db:"listener"`
	EventID     string        `db:"event_id"`
	Source      string        `db:"source"`
	Subject     string        `db:"subject"`
	Sequence    int64         `db:"sequence"`
	Type        string        `db:"event_type"`
	Body        string        `db:"body"`
	State       string        `db:"state"`
	Attempts    int           `db:"attempts"`
	NextAttempt database.Time `db:"next_attempt_at"`
	Reason      string        `db:"reason"`
	Received    database.Time `db:"received_at"`
	Done        database.Time `db:"done_at"`
}

// Store keeps what arrived for a listener, all or nothing. Nil means it is on disk and the transport may forget it. Idempotent
// by the event's id. A message that cannot be decoded, or whose type is unknown to a listener that does not take those, is kept as dead;
// one of a known type that the listener does not want is not kept. Unavailable when the listener's database is down: store the same
// messages again.
func (in *Inbox) Store(ctx context.Context, listener string, messages []Message) error {
	l := in.listener(listener)
	if l == nil {
		return fmt.Errorf("store %d messages: this inbox has no listener %q", len(messages), listener)
	}
	now, err := in.Now(ctx)
	if err != nil {
		return fmt.Errorf("ask the time to store %d messages for listener %s: %w", len(messages), listener, err)
	}
	rows := in.rows(l, now, messages)
	if len(rows) == 0 {
		return nil
	}
	if err := in.insert(ctx, rows); err != nil {
		return fmt.Errorf("store %d messages for listener %s: %w", len(messages), listener, err)
	}
	l.wake()
	return nil
}

// insert writes all rows or none. Few are one statement, which is a transaction by itself.
func (in *Inbox) insert(ctx context.Context, rows []row) error {
	if len(rows) <= rowsPerInsert {
		return insert(ctx, in.db.Exec, rows)
	}
	return in.db.InTx(ctx, func(tx *database.Tx) error {
		for some := range slices.Chunk(rows, rowsPerInsert) {
			if err := insert(ctx, tx.Exec, some); err != nil {
				return err
			}
		}
		return nil
	})
}

func insert(ctx context.Context, exec func(ctx context.Context, query string, args ...any) (int64, error), rows []row) error {
	args := make([]any, 0, 12*len(rows))
	for _, r := range rows {
		args = append(args, r.Listener, r.EventID, r.Source, r.Subject, r.Sequence, r.Type, r.Body, r.State, r.Attempts,
			r.NextAttempt, r.Reason, r.Received)
	}
	_, err := exec(ctx, `
		INSERT INTO inbox (listener, event_id, source, subject, sequence, event_type, body, state, attempts,
		    next_attempt_at, reason, received_at)
		VALUES `+strings.Repeat(`(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?), `, len(rows)-1)+`(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (listener, event_id) DO NOTHING`, args...)
	return err
}

func (in *Inbox) rows(l *registered, at time.Time, messages []Message) []row {
	now := database.At(at)
	rows := make([]row, 0, len(messages))
	for _, message := range messages {
		r := row{Listener: l.Name, State: "pending", NextAttempt: now, Received: now, Body: storable(message.Body)}
		event, err := decode(message.Body)
		if err == nil {
			if !l.Wants(event.Type) && payloads[event.Type] != nil {
				continue // the queue is still bound to a type that an earlier version of this listener wanted
			}
			r.EventID, r.Source, r.Subject, r.Sequence, r.Type = event.ID, event.Source, event.Subject, event.Sequence, event.Type
			err = checkPayload(l, event)
		} else {
			// Its id may be that of a sound message, which must not be taken for a second delivery of this one.
			sum := sha256.Sum256(message.Body)
			r.EventID = undecodablePrefix + hex.EncodeToString(sum[:])
			r.Type = clean(message.Type)
			err = fmt.Errorf("cannot be decoded (delivered as %q): %w", message.ID, err)
		}
		if err != nil {
			r.State, r.Reason = "dead", clean(err.Error())
		}
		rows = append(rows, r)
	}
	return rows
}

// payloads is the Go type behind each type of the catalogue.
var payloads = func() map[string]reflect.Type {
	known := map[string]reflect.Type{}
	for _, payload := range events.Catalogue() {
		known[payload.EventType()] = reflect.TypeOf(payload)
	}
	return known
}()

func decode(body []byte) (events.Event, error) {
	var event events.Event
	if !utf8.Valid(body) || bytes.IndexByte(body, 0) >= 0 {
		return event, errors.New("the body is not text")
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return event, err
	}
	for name, value := range map[string]string{"id": event.ID, "source": event.Source, "subject": event.Subject, "type": event.Type} {
		if len(value) > maxField || strings.ContainsRune(value, 0) {
			return event, fmt.Errorf("the %s is longer than %d bytes or has a NUL in it", name, maxField)
		}
	}
	return event, nil
}

// checkPayload reports why no handler could read the data of an event whose envelope is sound.
func checkPayload(l *registered, event events.Event) error {
	known := payloads[event.Type]
	if known == nil {
		if l.UnknownTypes || len(l.Types) > 0 && l.Wants(event.Type) {
			return nil // recorded as it is, or a type of another publisher, asked for by name
		}
		return fmt.Errorf("the type %q is unknown", event.Type)
	}
	if err := json.Unmarshal(event.Data, reflect.New(known).Interface()); err != nil {
		return fmt.Errorf("the data is not that of a %s: %w", event.Type, err)
	}
	return nil
}

// storable returns body as text both engines take; raw is its inverse.
func storable(body []byte) string {
	if utf8.Valid(body) && bytes.IndexByte(body, 0) < 0 && !bytes.HasPrefix(body, []byte(encodedPrefix)) {
		return string(body)
	}
	return encodedPrefix + base64.StdEncoding.EncodeToString(body)
}

func raw(stored string) []byte {
	if encoded, is := strings.CutPrefix(stored, encodedPrefix); is {
		if body, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			return body
		}
	}
	return []byte(stored)
}

// clean makes any text storable, and cuts it to maxField characters.
func clean(text string) string {
	runes := []rune(strings.ReplaceAll(text, "\x00", ""))
	if len(runes) > maxField {
		runes = runes[:maxField]
	}
	return string(runes)
}
