// Package step is the one atomic step every service uses: what a saga asks of a service is done once, however often it is
// attempted, and its outcome, its state and its event are one commit. A no is as durable as a yes. An undo leaves a tombstone,
// so an attempt that comes after it is refused.
package step

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/outbox"
)

// CodeUndone is the code of the Conflict that meets an attempt of a step that has been undone.
const CodeUndone = "step_undone"

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the tables a service's database needs for its steps.
func Migrations() database.Migrations {
	return database.Embedded("steps", files)
}

// Step is one thing a saga asks of a service.
type Step[T any] struct {
	// Key identifies the step for ever: "<workflow id>:<step>", made by the workflow. An undo has a key of its own.
	Key string
	// Undoes is the key of the step this one undoes; empty for a forward step.
	Undoes string
	// Reason is the code of the failure for which this undo is asked. It is kept beside the tombstone for the attempts that the tombstone
	// refuses. Empty where it is not known.
	Reason string
	// Subject is what the event is about: the order's id.
	Subject string
	// Do does the work. A fault of kind Declined is a business no: its writes are taken back and the no is recorded. Any
	// other error leaves nothing behind, and the next attempt starts afresh. Do may run more than once and must have no effect
	// outside tx.
	Do func(tx *database.Tx) (T, error)
	// Forget leaves the result out of the record, for a step whose result only Yes needs: later attempts get the zero T.
	Forget bool
	// Yes is the event that announces the result, or nil for none.
	Yes func(result T) events.Payload
	// No is the event that announces a no, or nil for none.
	No func(no *fault.Error) events.Payload
}

// check refuses a step whose record would be that of another one.
func (s Step[T]) check() error {
	if s.Key == s.Undoes {
		return fmt.Errorf("step %q would undo itself", s.Key)
	}
	return CheckKey(s.Key)
}

// CheckKey refuses the empty key: the record of the first step without one would answer all later ones. The error is Internal. A step
// that talks to the outside before Run asks this first.
func CheckKey(key string) error {
	if key == "" {
		return errors.New("a step has no key")
	}
	return nil
}

type record struct {
	Outcome string `db:"outcome"`
	Result  string `db:"result"`
	Code    string `db:"code"`
	Message string `db:"message"`
}

// Run does the step, or returns what was recorded when it was done before, without calling Do. It returns the
// recorded no as a Declined fault, and where an undo of the step came first, Undone with the reason of that undo.
func Run[T any](ctx context.Context, box *outbox.Outbox, s Step[T]) (T, error) {
	if err := s.check(); err != nil {
		var none T
		return none, err
	}
	result, err := once(ctx, box, s, false)
	if errors.Is(err, errDeclined) {
		// The transaction was rolled back. A no needs a savepoint, to take back the work without the claim; most steps are a yes and need none.
		result, err = once(ctx, box, s, true)
	}
	if err != nil {
		var none T
		return none, err
	}
	return result, nil
}

// errDeclined rolls back a transaction whose step came to a no and whose work can't be taken back alone.
var errDeclined = errors.New("declined without a savepoint")

// once is the step in one transaction. It returns errDeclined for a no that it can't record.
func once[T any](ctx context.Context, box *outbox.Outbox, s Step[T], savepoint bool) (result T, err error) {
	var no *fault.Error
	err = box.DB().InTx(ctx, func(tx *database.Tx) error {
		no = nil
		claimed, err := claim(ctx, tx, box, s.Key)
		if err != nil {
			return err
		}
		if !claimed {
			result, err = recorded[T](ctx, tx.Get, s.Key)
			return err
		}
		if s.Undoes != "" {
			if err := markUndone(ctx, tx, box, s.Undoes, s.Reason); err != nil {
				return err
			}
		}
		do := func() (err error) {
			result, err = s.Do(tx)
			return err
		}
		if savepoint {
			err = tx.Attempt(ctx, do)
		} else {
			err = do()
		}
		if declined, ok := fault.As(err); ok && declined.Kind == fault.Declined {
			if !savepoint {
				return errDeclined
			}
			no = declined
			return refuse(ctx, tx, box, s, no)
		}
		if err != nil {
			return err
		}
		return accept(ctx, tx, box, s, result)
	})
	if err == nil && no != nil {
		err = no
	}
	return result, err
}

// Recorded returns the outcome of the step with this key, as Run would; found is false when there is none yet. It is for
// steps that talk to the outside before they can be decided, to ask first whether they already are.
func Recorded[T any](ctx context.Context, box *outbox.Outbox, key string) (result T, found bool, err error) {
	if err := CheckKey(key); err != nil {
		return result, false, err
	}
	result, err = recorded[T](ctx, box.DB().Get, key)
	if errors.Is(err, sql.ErrNoRows) {
		return result, false, nil
	}
	return result, true, err
}

// claim inserts the record of key, or reports false when it is there. An attempt that runs at the same time waits here until the first one
// commits, and then finds its record. The record says yes from the start, so that a yes without a result to keep is complete; no other
// transaction sees it before the commit, and by then a no has changed it.
func claim(ctx context.Context, tx *database.Tx, box *outbox.Outbox, key string) (bool, error) {
	rows, err := tx.Exec(ctx, `
		INSERT INTO steps (step_key, outcome, recorded_at) VALUES (?, 'yes', ?) ON CONFLICT (step_key) DO NOTHING`,
		key, database.At(box.Now()))
	if err != nil {
		return false, fmt.Errorf("claim step %s: %w", key, err)
	}
	return rows == 1, nil
}

// markUndone makes sure that no attempt of the undone step does anything from now on. A no is left as it is: it did nothing. The reason of a
// tombstone is in its message, and stays when the step is undone again for another one.
func markUndone(ctx context.Context, tx *database.Tx, box *outbox.Outbox, key, reason string) error {
	if _, err := tx.Exec(ctx, `
		INSERT INTO steps (step_key, outcome, message, recorded_at) VALUES (?, 'undone', ?, ?)
		ON CONFLICT (step_key) DO UPDATE SET outcome = 'undone', message = excluded.message WHERE steps.outcome = 'yes'`,
		key, reason, database.At(box.Now())); err != nil {
		return fmt.Errorf("mark step %s as undone: %w", key, err)
	}
	return nil
}

func recorded[T any](ctx context.Context, get database.Getter, key string) (T, error) {
	var result T
	var row record
	if err := get(ctx, &row, `SELECT outcome, result, code, message FROM steps WHERE step_key = ?`, key); err != nil {
		return result, fmt.Errorf("read the record of step %s: %w", key, err)
	}
	switch row.Outcome {
	case "yes":
		if row.Result == "" {
			return result, nil
		}
		if err := json.Unmarshal([]byte(row.Result), &result); err != nil {
			return result, fmt.Errorf("read the record of step %s: %w", key, err)
		}
		return result, nil
	case "no":
		return result, fault.New(fault.Declined, row.Code, "%s", row.Message)
	default:
		return result, Undone(row.Message, "step %s was undone and is not done again", key)
	}
}

// Undone is the Conflict step_undone that meets an attempt of a step that has been undone for the reason given, which may be empty.
func Undone(reason, message string, args ...any) error {
	undone := fault.New(fault.Conflict, CodeUndone, message, args...)
	undone.FirstCause = reason
	return undone
}

func accept[T any](ctx context.Context, tx *database.Tx, box *outbox.Outbox, s Step[T], result T) error {
	if !s.Forget {
		body, err := json.Marshal(result)
		if err != nil {
			return fmt.Errorf("record step %s: %w", s.Key, err)
		}
		if err := setOutcome(ctx, tx, s.Key, record{Outcome: "yes", Result: string(body)}); err != nil {
			return err
		}
	}
	if s.Yes == nil {
		return nil
	}
	return announce(ctx, tx, box, s.Subject, s.Yes(result))
}

func refuse[T any](ctx context.Context, tx *database.Tx, box *outbox.Outbox, s Step[T], no *fault.Error) error {
	if err := setOutcome(ctx, tx, s.Key, record{Outcome: "no", Code: no.Code, Message: no.Message}); err != nil {
		return err
	}
	if s.No == nil {
		return nil
	}
	return announce(ctx, tx, box, s.Subject, s.No(no))
}

func setOutcome(ctx context.Context, tx *database.Tx, key string, row record) error {
	rows, err := tx.Exec(ctx, `
		UPDATE steps SET outcome = ?, result = ?, code = ?, message = ? WHERE step_key = ? AND outcome = 'yes'`,
		row.Outcome, row.Result, row.Code, row.Message, key)
	if err == nil && rows != 1 {
		err = errors.New("its claim is gone")
	}
	if err != nil {
		return fmt.Errorf("record step %s: %w", key, err)
	}
	return nil
}

func announce(ctx context.Context, tx *database.Tx, box *outbox.Outbox, subject string, payload events.Payload) error {
	if payload == nil {
		return nil
	}
	return box.Append(ctx, tx, subject, payload)
}
