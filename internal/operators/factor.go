package operators

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/sessiontoken"
)

const (
	// period is a step of TOTP (RFC 6238, 4.1), and skew how many steps the clock of a phone may be off (5.2).
	period = 30 * time.Second
	skew   = 1
	// A code is one of a million, so guesses are bounded: after every five wrong ones in a row none is taken for a while, and after a hundred
	// (NIST SP 800-63B-4, 3.2.2) none until the account is reset.
	triesAtOnce = 5
	triesPause  = 15 * time.Minute
	triesInAll  = 100
	// recoveryCodes is how many an operator is given.
	recoveryCodes = 10
)

// SecondFactor takes a code of the authenticator app, or a recovery code, for the session of the token. The session goes on under the token it
// returns, for eight hours from the log-in. Each code is taken once (RFC 6238, 5.2). Unauthenticated no_session; wrong_code, also for one that
// was used; Conflict not_enrolled, second_factor_given; Limited too_many_tries, with the time to wait; Conflict second_factor_locked after a
// hundred wrong codes.
func (s *Service) SecondFactor(ctx context.Context, token, code string) (renewed string, _ Session, err error) {
	var r sessionRow
	var refused error
	var by string
	err = s.db.InTx(ctx, func(tx *database.Tx) (err error) {
		refused = nil
		if r, err = s.session(ctx, tx.Get, token, tx.LockRows()); err != nil {
			return err
		}
		switch {
		case !r.SecondFactorAt.IsZero():
			return fault.New(fault.Conflict, "second_factor_given", "the second factor was given already")
		case !r.enrolled():
			return fault.New(fault.Conflict, "not_enrolled", "there is no second factor yet: enrol first")
		}
		if err := s.mayTry(r.row); err != nil {
			return err
		}
		by, err = s.check(ctx, tx, r.row, code)
		if err != nil {
			return err
		}
		if by == "" {
			refused = wrongCode()
			return s.countFailure(ctx, tx, r.ID)
		}
		if renewed, err = s.passSecondFactor(ctx, tx, &r, token); err != nil {
			return err
		}
		return s.record(ctx, tx, entry{by: r.operator().Actor(), act: "operator.log_in", subject: r.ID, detail: map[string]string{"factor": by}}, "")
	})
	switch {
	case err != nil:
		s.refused(ctx, r.ID, err)
		return "", Session{}, fmt.Errorf("check a second factor: %w", err)
	case refused != nil:
		s.failed(ctx, r.ID, wrongFactor)
		return "", Session{}, refused
	}
	s.succeeded(ctx, r.ID, by)
	return renewed, r.session(), nil
}

func wrongCode() error {
	return fault.New(fault.Unauthenticated, "wrong_code", "this code is wrong, or was used already: wait for the next one")
}

// mayTry refuses to look at a code after too many wrong ones.
func (s *Service) mayTry(r row) error {
	if r.Failures >= triesInAll {
		return fault.New(fault.Conflict, "second_factor_locked", "%d codes in a row were wrong: have an admin run orderly operators reset", triesInAll)
	}
	left := triesPause - s.now().Sub(r.FailedAt.Time)
	if r.Failures == 0 || r.Failures%triesAtOnce != 0 || left <= 0 {
		return nil
	}
	wait := fault.New(fault.Limited, "too_many_tries", "too many codes were wrong: wait before the next one")
	wait.RetryAfter = left
	return wait
}

func (s *Service) countFailure(ctx context.Context, tx *database.Tx, id string) error {
	_, err := tx.Exec(ctx, `UPDATE operators SET failures = failures + 1, failed_at = ? WHERE id = ?`, database.At(s.now()), id)
	return err
}

// check uses the code up. by is which kind it was of, empty for a wrong one.
func (s *Service) check(ctx context.Context, tx *database.Tx, r row, code string) (by string, err error) {
	code = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(code))
	step, right, err := s.step(r.TOTPSecret, code)
	if err != nil {
		return "", err
	}
	var used int64
	if right {
		// A step is used once, and none before it any more.
		used, err = tx.Exec(ctx, `UPDATE operators SET totp_step = ?, failures = 0, failed_at = NULL WHERE id = ? AND totp_step < ?`, step, r.ID, step)
		by = factorTOTP
	} else {
		used, err = tx.Exec(ctx, `UPDATE operator_recovery_codes SET used_at = ? WHERE operator_id = ? AND code_hash = ? AND used_at IS NULL`,
			database.At(s.now()), r.ID, sessiontoken.Hash(code))
		by = factorRecovery
		if err == nil && used == 1 {
			_, err = tx.Exec(ctx, `UPDATE operators SET failures = 0, failed_at = NULL WHERE id = ?`, r.ID)
		}
	}
	if err != nil || used == 0 {
		return "", err
	}
	return by, nil
}

// step looks for the step of TOTP, of those around now, that has this code: RFC 6238 with SHA-1, 6 digits and 30 s, which every app knows.
func (s *Service) step(secret, code string) (step int64, right bool, err error) {
	now := s.now().Unix() / int64(period.Seconds())
	for at := now - skew; at <= now+skew; at++ {
		want, err := hotp.GenerateCodeCustom(secret, uint64(at), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, false, fmt.Errorf("a stored TOTP secret can't be read: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, right = at, true
		}
	}
	return step, right, nil
}

// newRecoveryCodes replaces an operator's codes, and returns the new ones as people are shown them.
func (s *Service) newRecoveryCodes(ctx context.Context, tx *database.Tx, id string) (shown []string, err error) {
	if _, err := tx.Exec(ctx, `DELETE FROM operator_recovery_codes WHERE operator_id = ?`, id); err != nil {
		return nil, err
	}
	for range recoveryCodes {
		code := rand.Text() // letters and digits of base32, at least 128 bits
		if _, err := tx.Exec(ctx, `INSERT INTO operator_recovery_codes (operator_id, code_hash) VALUES (?, ?)`, id, sessiontoken.Hash(code)); err != nil {
			return nil, err
		}
		shown = append(shown, grouped(code))
	}
	return shown, nil
}

// grouped puts hyphens between groups of five characters, the last of which may have six.
func grouped(code string) string {
	var parts []string
	for len(code) > 6 {
		parts, code = append(parts, code[:5]), code[5:]
	}
	return strings.Join(append(parts, code), "-")
}

// RecoveryCodesLeft is how many recovery codes an operator has not used.
func (s *Service) RecoveryCodesLeft(ctx context.Context, id string) (left int64, err error) {
	if err := s.db.Get(ctx, &left, `SELECT COUNT(*) FROM operator_recovery_codes WHERE operator_id = ? AND used_at IS NULL`, id); err != nil {
		return 0, fmt.Errorf("count the recovery codes of operator %s: %w", id, err)
	}
	return left, nil
}
