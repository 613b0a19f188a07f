package operators

import (
	"context"
	"encoding/json"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
)

// Actor is who acts, and over which door.
type Actor struct {
	// Who is "cli:" with the user of the machine, or "operator:" with the id of the account.
	Who string
	// Door is "cli" or "operator-api".
	Door string
}

// Actor is the operator, acting over the operators' API.
func (o Operator) Actor() Actor { return Actor{Who: "operator:" + o.ID, Door: "operator-api"} }

// entry is a row of the audit. The act is written with what it did to the subject, in one transaction.
type entry struct {
	by      Actor
	act     string
	subject string            // the id of the account; empty where there is none
	detail  map[string]string // never a password, a secret or a code
}

// act runs do in a transaction with its row of the audit, which do may complete. A refusal (fault.Final) is recorded, too, and nothing else of
// the transaction then.
func (s *Service) act(ctx context.Context, e entry, do func(tx *database.Tx, e *entry) error) error {
	var refused error
	err := s.db.InTx(ctx, func(tx *database.Tx) error {
		refused = nil
		done := e
		done.detail = map[string]string{}
		for name, value := range e.detail {
			done.detail[name] = value
		}
		if err := tx.Attempt(ctx, func() error { return do(tx, &done) }); err != nil {
			if !fault.Final(err) {
				return err
			}
			refused = err
		}
		return s.record(ctx, tx, done, fault.CodeOf(refused))
	})
	if err == nil {
		err = refused
	}
	return err
}

func (s *Service) record(ctx context.Context, tx *database.Tx, e entry, refused string) error {
	id, err := newID()
	if err != nil {
		return err
	}
	detail, err := json.Marshal(e.detail)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO audit (id, at, actor, door, act, subject, detail, refused) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		id, database.At(s.now()), e.by.Who, e.by.Door, e.act, e.subject, string(detail), refused)
	return err
}
