package users

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
)

const (
	// listedSessions bounds the list of a customer's sessions.
	listedSessions = 100
	// longestUserAgent is how many bytes of a User-Agent are kept.
	longestUserAgent = 256
)

// OpenSession is a session as its customer's list shows it.
type OpenSession struct {
	Session
	// Source is the address it was opened from, an IPv6 address by its /64, and UserAgent the program. Both are empty where they are not known.
	Source, UserAgent string
}

// Sessions returns the customer's sessions, the latest hundred, the latest first.
func (s *Service) Sessions(ctx context.Context, userID string) ([]OpenSession, error) {
	var rows []struct {
		TokenHash string        `db:"token_hash"`
		CreatedAt database.Time `db:"created_at"`
		ExpiresAt database.Time `db:"expires_at"`
		Source    string        `db:"source"`
		UserAgent string        `db:"user_agent"`
	}
	if err := s.db.Select(ctx, &rows, `
		SELECT token_hash, created_at, expires_at, source, user_agent FROM sessions WHERE user_id = ? AND expires_at > ?
		ORDER BY created_at DESC, token_hash LIMIT (SELECT CAST(? AS BIGINT))`, userID, database.At(s.now()), listedSessions); err != nil {
		return nil, fmt.Errorf("list the sessions of customer %s: %w", userID, err)
	}
	open := make([]OpenSession, len(rows))
	for i, r := range rows {
		open[i] = OpenSession{
			Session: Session{ID: sessionID(r.TokenHash), UserID: userID, CreatedAt: r.CreatedAt.Time, ExpiresAt: r.ExpiresAt.Time},
			Source:  r.Source, UserAgent: r.UserAgent,
		}
	}
	return open, nil
}

// EndSession ends the customer's session with this id; NotFound session_not_found when the customer has none of it, or no longer.
func (s *Service) EndSession(ctx context.Context, userID, id string) error {
	_, err := s.endSession(ctx, userID, id)
	return err
}

// endSession also returns the token hash of the session.
func (s *Service) endSession(ctx context.Context, userID, id string) (ended []string, err error) {
	err = s.db.InTx(ctx, func(tx *database.Tx) error {
		var hashes []string
		if err := tx.Select(ctx, &hashes, `SELECT token_hash FROM sessions WHERE user_id = ?`, userID); err != nil {
			return err
		}
		at := slices.IndexFunc(hashes, func(hash string) bool { return sessionID(hash) == id })
		if at < 0 {
			return fault.New(fault.NotFound, "session_not_found", "there is no session of yours with this id")
		}
		ended = hashes[at : at+1]
		_, err := tx.Exec(ctx, `DELETE FROM sessions WHERE token_hash = ?`, ended[0])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("end a session of customer %s: %w", userID, err)
	}
	return ended, nil
}

// sessionID follows from the hash of the token, so that it needs no column and the sessions that an older process opens have one. The hash
// does not follow from it.
func sessionID(tokenHash string) string {
	sum := sha256.Sum256([]byte("orderly session id\n" + tokenHash))
	return hex.EncodeToString(sum[:16])
}

// shortened is a User-Agent fit to be kept and shown.
func shortened(userAgent string) string {
	userAgent = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(userAgent, ""))
	if len(userAgent) > longestUserAgent {
		userAgent = strings.ToValidUTF8(userAgent[:longestUserAgent], "")
	}
	return userAgent
}
