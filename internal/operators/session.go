package operators

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
)

// The limits are within those of NIST SP 800-63B-4, 2.2.3 (AAL2): a session ends within 24 hours, and within one without use.
const (
	lifetime = 8 * time.Hour
	idle     = 30 * time.Minute
	// halfway is how long a session waits for the second factor.
	halfway = 10 * time.Minute
	// noted is how exactly the last use is written down, so that not every request is a write.
	noted = time.Minute
)

// pruneBatch is how many expired sessions one transaction removes.
const pruneBatch = 1000

// Session is a log-in that still holds.
type Session struct {
	Operator  Operator
	CreatedAt time.Time
	// ExpiresAt is when the session ends at the latest. It ends earlier after 30 minutes without use.
	ExpiresAt time.Time
	// SecondFactor says that the second factor was given. Without it the session opens only the way there: SecondFactor, or for one who is
	// not enrolled BeginEnrolment and Enrol.
	SecondFactor bool
}

func noSession() error {
	return fault.New(fault.Unauthenticated, "no_session", "there is no valid session: log in first")
}

// Login opens a session that waits ten minutes for the second factor, and returns its token, which is stored nowhere. Unauthenticated
// wrong_credentials for an unknown address and for a wrong password, and both take as long; temporary_password_expired for the right one;
// Unavailable busy when too many passwords are being hashed.
func (s *Service) Login(ctx context.Context, email, given string) (token string, _ Session, err error) {
	wrong := fault.New(fault.Unauthenticated, "wrong_credentials", "the email address or the password is wrong")
	r, err := find(ctx, s.db.Get, address(email), "")
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return "", Session{}, fmt.Errorf("log in: %w", err)
	}
	right := false
	if !password.TooLong(given) {
		var stale bool
		if right, stale, err = s.passwords.Verify(ctx, r.PasswordHash, password.Normalise(given)); err != nil {
			return "", Session{}, fmt.Errorf("log in: %w", err)
		}
		if right && stale {
			r.PasswordHash = s.rehash(ctx, r, given)
		}
	}
	if !right {
		s.failed(ctx, r.ID, wrongPassword)
		return "", Session{}, wrong
	}
	if until := r.TemporaryUntil; !until.IsZero() && !s.now().Before(until.Time) {
		s.failed(ctx, r.ID, expiredPassword)
		return "", Session{}, fault.New(fault.Unauthenticated, "temporary_password_expired",
			"the temporary password has expired: have an admin run orderly operators reset")
	}
	token, session, err := s.open(ctx, r)
	switch {
	case errors.Is(err, errPasswordReplaced):
		s.failed(ctx, r.ID, wrongPassword)
		return "", Session{}, wrong
	case err != nil:
		return "", Session{}, fmt.Errorf("open a session of operator %s: %w", r.ID, err)
	}
	s.succeeded(ctx, r.ID, rightPassword)
	return token, session, nil
}

var errPasswordReplaced = errors.New("the password was replaced, or the account removed, while it was checked")

// open opens a session that waits for the second factor, for the account whose password was found right; errPasswordReplaced where it has
// another one by now. The account is locked, so that Reset, Enrol and Remove either end the session or are seen here.
func (s *Service) open(ctx context.Context, r row) (token string, session Session, err error) {
	token = sessiontoken.New()
	err = s.db.InTx(ctx, func(tx *database.Tx) error {
		var hash string
		err := tx.Get(ctx, &hash, `SELECT password_hash FROM operators WHERE id = ? AND removed_at IS NULL`+tx.LockRows(), r.ID)
		if errors.Is(err, sql.ErrNoRows) || err == nil && hash != r.PasswordHash {
			return errPasswordReplaced
		}
		if err != nil {
			return err
		}
		now := database.At(s.now())
		until := database.At(now.Add(halfway))
		session = Session{Operator: r.operator(), CreatedAt: now.Time, ExpiresAt: until.Time}
		_, err = tx.Exec(ctx, `INSERT INTO operator_sessions (token_hash, operator_id, created_at, used_at, expires_at) VALUES (?, ?, ?, ?, ?)`,
			sessiontoken.Hash(token), r.ID, now, now, until)
		return err
	})
	return token, session, err
}

// rehash brings a right password to today's cost, and returns the hash that is stored then. When it can't now, the old hash still serves and the
// next log-in tries again.
func (s *Service) rehash(ctx context.Context, r row, given string) string {
	hash, err := s.passwords.Hash(ctx, password.Normalise(given))
	if err != nil {
		return r.PasswordHash
	}
	changed, err := s.db.Exec(ctx, `UPDATE operators SET password_hash = ? WHERE id = ? AND password_hash = ?`, hash, r.ID, r.PasswordHash)
	if err != nil || changed == 0 {
		return r.PasswordHash
	}
	return hash
}

// sessionRow is a session with its account.
type sessionRow struct {
	row
	SessionCreatedAt database.Time `db:"session_created_at"`
	UsedAt           database.Time `db:"used_at"`
	ExpiresAt        database.Time `db:"expires_at"`
	SecondFactorAt   database.Time `db:"second_factor_at"`
}

func (r sessionRow) session() Session {
	return Session{
		Operator: r.operator(), CreatedAt: r.SessionCreatedAt.Time, ExpiresAt: r.ExpiresAt.Time, SecondFactor: !r.SecondFactorAt.IsZero(),
	}
}

// Authenticate returns the session of the token, with the account as it stands now; Unauthenticated no_session when there is none, no longer,
// or none for 30 minutes.
func (s *Service) Authenticate(ctx context.Context, token string) (Session, error) {
	r, err := s.session(ctx, s.db.Get, token, "")
	if err != nil {
		return Session{}, err
	}
	if now := s.now(); now.Sub(r.UsedAt.Time) >= noted {
		// A database that takes no writes ends the session early, and does not keep an operator from looking.
		_, _ = s.db.Exec(ctx, `UPDATE operator_sessions SET used_at = ? WHERE token_hash = ? AND used_at < ?`,
			database.At(now), sessiontoken.Hash(token), database.At(now))
	}
	return r.session(), nil
}

func (s *Service) session(ctx context.Context, get database.Getter, token, lock string) (r sessionRow, err error) {
	if !sessiontoken.WellFormed(token) {
		return r, noSession()
	}
	err = get(ctx, &r, `
		SELECT `+columns+`, s.created_at AS session_created_at, s.used_at, s.expires_at, s.second_factor_at
		FROM operator_sessions s JOIN operators o ON o.id = s.operator_id
		WHERE s.token_hash = ? AND o.removed_at IS NULL`+lock, sessiontoken.Hash(token))
	if errors.Is(err, sql.ErrNoRows) {
		return r, noSession()
	}
	if err != nil {
		return r, fmt.Errorf("look up an operator's session: %w", err)
	}
	if now := s.now(); !now.Before(r.ExpiresAt.Time) || now.Sub(r.UsedAt.Time) >= idle {
		return r, noSession()
	}
	return r, nil
}

// passSecondFactor gives the session a new token and its whole lifetime. The old token is worth nothing from then on, so that one who has seen
// it before gains nothing by the second factor.
func (s *Service) passSecondFactor(ctx context.Context, tx *database.Tx, r *sessionRow, token string) (renewed string, err error) {
	now := database.At(s.now())
	renewed = sessiontoken.New()
	r.UsedAt, r.SecondFactorAt, r.ExpiresAt = now, now, database.At(r.SessionCreatedAt.Add(lifetime))
	_, err = tx.Exec(ctx, `UPDATE operator_sessions SET token_hash = ?, used_at = ?, second_factor_at = ?, expires_at = ? WHERE token_hash = ?`,
		sessiontoken.Hash(renewed), now, now, r.ExpiresAt, sessiontoken.Hash(token))
	return renewed, err
}

// Logout ends the session of the token. Idempotent: a token without a session is fine.
func (s *Service) Logout(ctx context.Context, token string) error {
	if !sessiontoken.WellFormed(token) {
		return nil
	}
	if _, err := s.db.Exec(ctx, `DELETE FROM operator_sessions WHERE token_hash = ?`, sessiontoken.Hash(token)); err != nil {
		return fmt.Errorf("end an operator's session: %w", err)
	}
	return nil
}

// PruneSessions removes sessions that have expired and returns how many there were.
func (s *Service) PruneSessions(ctx context.Context) (int64, error) {
	if _, err := s.db.Time(ctx); err != nil { // a session must not end by another clock, not even once
		return 0, fmt.Errorf("ask the time to prune operators' sessions: %w", err)
	}
	var all, some int64
	for some = pruneBatch; some == pruneBatch; all += some {
		var err error
		if some, err = s.db.Exec(ctx, `
			DELETE FROM operator_sessions WHERE `+s.db.AmongFree(s.db.RowID(), `
			    SELECT `+s.db.RowID()+` FROM operator_sessions WHERE expires_at <= ?
			    ORDER BY expires_at LIMIT (SELECT CAST(? AS BIGINT))`), database.At(s.now()), pruneBatch); err != nil {
			return all, fmt.Errorf("prune operators' sessions: %w", err)
		}
	}
	return all, nil
}
