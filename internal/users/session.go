package users

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/password"
	"example.com/orderly/internal/sessiontoken"
	"example.com/orderly/internal/source"
)

// sessionLifetime is absolute: a session ends this long after its login, used or not. There is no idle limit, because a
// sliding one would turn the most frequent read of the system into a write.
const sessionLifetime = 8 * time.Hour

// pruneBatch is how many expired sessions one transaction removes.
const pruneBatch = 1000

// Session is a login that still holds.
type Session struct {
	// ID names the session to its customer. No request is let in with it.
	ID        string
	UserID    string
	CreatedAt time.Time
	ExpiresAt time.Time
}

func noSession() error {
	return fault.New(fault.Unauthenticated, "no_session", "there is no valid session: log in first")
}

func wrongCredentials() error {
	return fault.New(fault.Unauthenticated, "wrong_credentials", "the email address or the password is wrong")
}

// Login opens a session and returns its token, which is stored nowhere. The address that the request came from, source.Of(ctx), and the
// program are kept with it for the customer's list. Unauthenticated wrong_credentials for an unknown address, a deleted customer, one without
// a password and a wrong password, all of which cost the same statements and hashes; Unavailable busy when too many passwords are being
// hashed. With a wrong password the session names the account that it was tried for and nothing else, which is for the log alone.
func (s *Service) Login(ctx context.Context, email, given, userAgent string) (token string, session Session, err error) {
	// Once more where the hash was replaced meanwhile, by another log-in that renewed it or by a change of the password.
	for range 2 {
		var user credentials
		user, err = s.verified(ctx, email, given)
		if err != nil {
			return "", Session{UserID: user.ID}, err
		}
		token, session, err = s.openSession(ctx, user.ID, user.PasswordHash, userAgent)
		if fault.KindOf(err) != fault.NotFound {
			return token, session, err
		}
	}
	return "", Session{}, wrongCredentials()
}

// credentials are what a password is checked against.
type credentials struct {
	ID           string         `db:"id"`
	Email        sql.NullString `db:"email"`
	PasswordHash string         `db:"password_hash"`
}

// verified returns the customer with this address and password; with a wrong one also who has the address.
func (s *Service) verified(ctx context.Context, email, given string) (user credentials, err error) {
	if password.TooLong(given) {
		return credentials{}, wrongCredentials()
	}
	err = s.db.Get(ctx, &user, `SELECT id, email, password_hash FROM users WHERE email = ?`, foldEmail(email))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return credentials{}, fmt.Errorf("log in: %w", err)
	}
	right, err := s.matches(ctx, &user, given)
	if err != nil {
		return credentials{}, fmt.Errorf("log in: %w", err)
	}
	if !right {
		return credentials{ID: user.ID}, wrongCredentials()
	}
	return user, nil
}

// matches reports whether the password is the customer's. A right one whose hash is an old one is hashed anew; when that can't be done now,
// the old hash still serves and the next time tries again.
func (s *Service) matches(ctx context.Context, user *credentials, given string) (bool, error) {
	right, stale, err := s.passwords.Match(ctx, user.PasswordHash, given)
	if err != nil || !right || !stale {
		return right, err
	}
	if hash, err := s.passwords.Hash(ctx, password.Normalise(given)); err == nil {
		rows, err := s.db.Exec(ctx, `UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?`, hash, user.ID, user.PasswordHash)
		if err == nil && rows == 1 {
			user.PasswordHash = hash
		}
	}
	return true, nil
}

// IssueSession opens a session without asking for a password; NotFound user_not_found when there is no such customer.
func (s *Service) IssueSession(ctx context.Context, userID string) (token string, session Session, err error) {
	return s.openSession(ctx, userID, "", "")
}

// openSession opens a session, where a hash is given only if the customer's password still has it: who changes a password must not find a
// session that was opened with the one before.
func (s *Service) openSession(ctx context.Context, userID, hash, userAgent string) (token string, session Session, err error) {
	token = s.newToken()
	err = s.db.InTx(ctx, func(tx *database.Tx) error {
		// Locked, so that a deletion or a change of the password either sees the new session or is seen here.
		var is string
		err := tx.Get(ctx, &is, `SELECT password_hash FROM users WHERE id = ? AND deleted_at IS NULL`+tx.LockRows(), userID)
		if errors.Is(err, sql.ErrNoRows) || (err == nil && hash != "" && is != hash) {
			return noUser(userID)
		}
		if err != nil {
			return err
		}
		from := database.At(s.now())
		until := database.At(from.Add(sessionLifetime))
		session = Session{ID: sessionID(sessiontoken.Hash(token)), UserID: userID, CreatedAt: from.Time, ExpiresAt: until.Time}
		_, err = tx.Exec(ctx, `
			INSERT INTO sessions (token_hash, user_id, created_at, expires_at, source, user_agent) VALUES (?, ?, ?, ?, ?, ?)`,
			sessiontoken.Hash(token), userID, from, until, source.Of(ctx), shortened(userAgent))
		return err
	})
	if err != nil {
		return "", Session{}, fmt.Errorf("open a session for customer %s: %w", userID, err)
	}
	return token, session, nil
}

// Authenticate returns the session of the token; Unauthenticated no_session when there is none, or no longer, or no longer a customer.
func (s *Service) Authenticate(ctx context.Context, token string) (Session, error) {
	if !sessiontoken.WellFormed(token) {
		return Session{}, noSession()
	}
	return s.session(ctx, sessiontoken.Hash(token))
}

func (s *Service) session(ctx context.Context, tokenHash string) (Session, error) {
	var row struct {
		UserID    string        `db:"user_id"`
		CreatedAt database.Time `db:"created_at"`
		ExpiresAt database.Time `db:"expires_at"`
	}
	err := s.db.Get(ctx, &row, `
		SELECT s.user_id, s.created_at, s.expires_at FROM sessions s JOIN users u ON u.id = s.user_id
		WHERE s.token_hash = ? AND u.deleted_at IS NULL`, tokenHash)
	if errors.Is(err, sql.ErrNoRows) {
		return Session{}, noSession()
	}
	if err != nil {
		return Session{}, fmt.Errorf("look up a session: %w", err)
	}
	if !s.now().Before(row.ExpiresAt.Time) {
		return Session{}, noSession()
	}
	return Session{ID: sessionID(tokenHash), UserID: row.UserID, CreatedAt: row.CreatedAt.Time, ExpiresAt: row.ExpiresAt.Time}, nil
}

// Logout ends the session of the token. Idempotent: a token without a session is fine.
func (s *Service) Logout(ctx context.Context, token string) error {
	if !sessiontoken.WellFormed(token) {
		return nil
	}
	if _, err := s.db.Exec(ctx, `DELETE FROM sessions WHERE token_hash = ?`, sessiontoken.Hash(token)); err != nil {
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
