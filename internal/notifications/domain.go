package notifications

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"example.com/orderly/internal/database"
)

// earlierDomain is what the Message-IDs of all mails ended in before it was the sender's domain.
const earlierDomain = "orderly"

// RememberDomain writes down that from now on the Message-IDs of mails end in the sender's domain. A process that sends mails calls it
// before it does. Mails about what happened before keep their ids, those that were tried or sent under an earlier domain or under none.
// Idempotent.
func (s *Service) RememberDomain(ctx context.Context) error {
	err := s.db.InTx(ctx, func(tx *database.Tx) error {
		var latest struct {
			Since  database.Time `db:"since"`
			Domain string        `db:"domain"`
		}
		err := tx.Get(ctx, &latest, `SELECT since, domain FROM message_domains ORDER BY since DESC LIMIT 1`)
		if errors.Is(err, sql.ErrNoRows) {
			latest.Since, latest.Domain = database.At(time.Unix(0, 0)), DomainOf(s.from)
			var used bool
			if err := tx.Get(ctx, &used, `SELECT EXISTS (SELECT 1 FROM inbox) OR EXISTS (SELECT 1 FROM mails)`); err != nil {
				return err
			}
			if used {
				latest.Domain = earlierDomain
			}
			err = insertDomain(ctx, tx, latest.Since, latest.Domain)
		}
		if err != nil || latest.Domain == DomainOf(s.from) {
			return err
		}
		since := database.At(s.now())
		if !since.After(latest.Since.Time) { // by the clock of a process that was ahead of this one's
			since = database.At(latest.Since.Add(time.Microsecond))
		}
		return insertDomain(ctx, tx, since, DomainOf(s.from))
	})
	if err != nil {
		return fmt.Errorf("remember the domain that mails come from: %w", err)
	}
	return nil
}

// insertDomain leaves alone what another process has written at the same moment.
func insertDomain(ctx context.Context, tx *database.Tx, since database.Time, domain string) error {
	_, err := tx.Exec(ctx, `INSERT INTO message_domains (since, domain) VALUES (?, ?) ON CONFLICT (since) DO NOTHING`, since, domain)
	return err
}

// domainAt is what the Message-ID of a mail ends in, by when its event happened.
func (s *Service) domainAt(ctx context.Context, happened time.Time) (domain string, err error) {
	err = s.db.Get(ctx, &domain, `SELECT domain FROM message_domains WHERE since <= ? ORDER BY since DESC LIMIT 1`, database.At(happened))
	if errors.Is(err, sql.ErrNoRows) {
		return DomainOf(s.from), nil
	}
	return domain, err
}
