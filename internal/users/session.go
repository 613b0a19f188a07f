package users

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/password"
)

// sessionLifetime is absolute: a session ends this long after its login, used or not. There is no idle limit, because a
// sliding one would turn the most frequent read of the system into a write.
const sessionLifetime = 8 * time.Hour

const tokenBytes = 32

// pruneBatch is how many expired sessions one transaction removes.
const pruneBatch = 1000

// Session is a login that still holds.
type Session struct {
	UserID    string
	CreatedAt time.Time
	ExpiresAt time.Time
}

func noSession() error {
	return fault.New(fault.Unauthenticated, "no_session", "there is no valid session: log in first")
}

// Login opens a session and returns its token, which is stored nowhere. Unauthenticated wrong_credentials for an unknown
// address and for a wrong password, and both take as long; Unavailable busy when too many passwords are being hashed. With a wrong password
// the session names the account that it was tried for and nothing else, which is for the log alone.
func (s *Service) Login(ctx context.Context, email, given string) (token string, session Session, err error) {
	wrong := fault.New(fault.Unauthenticated, "wrong_credentials", "the email address or the password is wrong")
	if password.TooLong(given) {
		return "", Session{}, wrong
	}
	var user struct {
		ID           string `db:"id"`
		PasswordHash string `db:"password_hash"`
	}
	if email, err = normaliseEmail(email); err == nil {
		err = s.db.Get(ctx, &user, `SELECT id, password_hash FROM users WHERE email = ?`, email)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return "", Session{}, fmt.Errorf("log in: %w", err)
		}
	}
	right, stale, err := s.passwords.Match(ctx, user.PasswordHash, given)
	if err != nil {
		return "", Session{}, fmt.Errorf("log in: %w", err)
	}
	if !right {
		return "", Session{UserID: user.ID}, wrong
	}
	if stale {
		s.rehash(ctx, user.ID, user.PasswordHash, given)
	}
	token, session, err = s.IssueSession(ctx, user.ID)
	if fault.KindOf(err) == fault.NotFound {
		err = wrong
	}
	return token, session, err
}

// rehash brings a right password to today's cost. When it cannot now, the old hash still serves and the next login tries again.
func (s *Service) rehash(ctx context.Context, id, old, given string) {
	hash, err := s.passwords.Hash(ctx, password.Normalise(given))
	if err != nil {
		return
	}
	_, _ = s.db.Exec(ctx, `UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?`, hash, id, old)
}

// IssueSession opens a session without asking for a password; NotFound user_not_found when there is no such customer.
func (s *Service) IssueSession(ctx context.Context, userID string) (token string, session Session, err error) {
	token = newToken()
	err = s.db.InTx(ctx, func(tx *database.Tx) error {
		// Locked, so that a deletion either sees the new session or is seen here.
		var id string
		err := tx.Get(ctx, &id, `SELECT id FROM users WHERE id = ? AND deleted_at IS NULL`+tx.LockRows(), userID)
		if errors.Is(err, sql.ErrNoRows) {
			return noUser(userID)
		}
		if err != nil {
			return err
		}
		from := database.At(s.now())
		until := database.At(from.Add(sessionLifetime))
		session = Session{UserID: userID, CreatedAt: from.Time, ExpiresAt: until.Time}
		_, err = tx.Exec(ctx, `INSERT INTO sessions (token_hash, user_id, created_at, expires_at) VALUES (?, ?, ?, ?)`,
			hashOf(token), userID, from, until)
		return err
	})
	if err != nil {
		return "", Session{}, fmt.Errorf("open a session for customer %s: %w", userID, err)
	}
	return token, session, nil
}

// Authenticate returns the session of the token; Unauthenticated no_session when there is none, or no longer.
func (s *Service) Authenticate(ctx context.Context, token string) (Session, error) {
	if !wellFormed(token) {
		return Session{}, noSession()
	}
	return s.session(ctx, hashOf(token))
}

func (s *Service) session(ctx context.Context, tokenHash string) (Session, error) {
	var row struct {
		UserID    string        `db:"user_id"`
		CreatedAt database.Time `db:"created_at"`
		ExpiresAt database.Time `db:"expires_at"`
	}
	err := s.db.Get(ctx, &row, `SELECT user_id, created_at, expires_at FROM sessions WHERE token_hash = ?`, tokenHash)
	if errors.Is(err, sql.ErrNoRows) {
		return Session{}, noSession()
	}
	if err != nil {
		return Session{}, fmt.Errorf("look up a session: %w", err)
	}
	if !s.now().Before(row.ExpiresAt.Time) {
		return Session{}, noSession()
	}
	return Session{UserID: row.UserID, CreatedAt: row.CreatedAt.Time, ExpiresAt: row.ExpiresAt.Time}, nil
}

// Logout ends the session of the token. Idempotent: a token without a session is fine.
func (s *Service) Logout(ctx context.Context, token string) error {
	if !wellFormed(token) {
		return nil
	}
	if _, err := s.db.Exec(ctx, `DELETE FROM sessions WHERE token_hash = ?`, hashOf(token)); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// RevokeAll ends every session of the customer. Idempotent; a customer without sessions, or unknown, is fine.
func (s *Service) RevokeAll(ctx context.Context, userID string) error {
	_, err := s.revokeAll(ctx, userID)
	return err
}

// revokeAll also returns the token hashes of the sessions it ended.
func (s *Service) revokeAll(ctx context.Context, userID string) (ended []string, err error) {
	err = s.db.InTx(ctx, func(tx *database.Tx) error {
		ended = nil
		return tx.Select(ctx, &ended, `DELETE FROM sessions WHERE user_id = ? RETURNING token_hash`, userID)
	})
	if err != nil {
		return nil, fmt.Errorf("end the sessions of customer %s: %w", userID, err)
	}
	return ended, nil
}

// PruneSessions removes sessions that have expired and returns how many there were.
func (s *Service) PruneSessions(ctx context.Context) (int64, error) {
	if _, err := s.box.Time(ctx); err != nil { // a session must not end by another clock, not even once
		return 0, fmt.Errorf("ask the time to prune expired sessions: %w", err)
	}
	var all, some int64
	for some = pruneBatch; some == pruneBatch; all += some {
		var err error
		if some, err = s.db.Exec(ctx, `
			DELETE FROM sessions WHERE `+s.db.AmongFree(s.db.RowID(), `
			    SELECT `+s.db.RowID()+` FROM sessions WHERE expires_at <= ?
			    ORDER BY expires_at LIMIT (SELECT CAST(? AS BIGINT))`), database.At(s.now()), pruneBatch); err != nil {
			return all, fmt.Errorf("prune expired sessions: %w", err)
		}
	}
	return all, nil
}

func newToken() string {
	b := make([]byte, tokenBytes)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// wellFormed spares the database what cannot be a token of ours.
func wellFormed(token string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	return err == nil && len(raw) == tokenBytes
}

// hashOf needs no salt: a token is 256 random bits, which can't be guessed from its hash.
func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
