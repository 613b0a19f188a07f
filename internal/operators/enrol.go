package operators

import (
	"context"
	"fmt"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/password"
	"example.com/orderly/internal/sessiontoken"
)

// secretBytes is what RFC 4226, 4 (R6) recommends.
const secretBytes = 20

// Enrolment is what goes into an authenticator app.
type Enrolment struct {
	// Secret is base32, to be typed.
	Secret string
	// URI is otpauth://totp/..., which apps read from a QR code.
	URI string
}

// Enrolled is a finished enrolment.
type Enrolled struct {
	// Token is that of the session from now on; the one it began with ends.
	Token   string
	Session Session
	// RecoveryCodes each stand in for a code of the app once. They are stored nowhere.
	RecoveryCodes []string
}

// BeginEnrolment makes the secret of the second factor for an operator who has logged in with a temporary password. It is in use once Enrol was
// given a code made with it; until then another call replaces it. Unauthenticated no_session; Conflict enrolled_already.
func (s *Service) BeginEnrolment(ctx context.Context, token string) (made Enrolment, err error) {
	err = s.db.InTx(ctx, func(tx *database.Tx) error {
		r, err := s.enrolling(ctx, tx, token)
		if err != nil {
			return err
		}
		key, err := totp.Generate(totp.GenerateOpts{
			Issuer: "Orderly", AccountName: r.Email, SecretSize: secretBytes, Period: uint(period.Seconds()), Digits: otp.DigitsSix,
			Algorithm: otp.AlgorithmSHA1,
		})
		if err != nil {
			return err
		}
		made = Enrolment{Secret: key.Secret(), URI: key.URL()}
		_, err = tx.Exec(ctx, `UPDATE operators SET totp_secret = ? WHERE id = ?`, made.Secret, r.ID)
		return err
	})
	if err != nil {
		return Enrolment{}, fmt.Errorf("begin to enrol an operator: %w", err)
	}
	return made, nil
}

// Enrol puts the operator's own password in place of the temporary one, and the second factor in use; code is made with the secret of
// BeginEnrolment. Every other session of the operator ends. Invalid weak_password, password_too_long or password_unchanged; Unauthenticated
// no_session or wrong_code; Conflict enrolled_already or enrolment_not_begun; Unavailable busy; and what SecondFactor returns after too many
// wrong codes.
func (s *Service) Enrol(ctx context.Context, token, newPassword, code string) (done Enrolled, err error) {
	before, err := s.session(ctx, s.db.Get, token, "")
	if err != nil {
		return Enrolled{}, err
	}
	if before.enrolled() { // asked again below; here it keeps a session from being used to guess the password
		return Enrolled{}, enrolledAlready()
	}
	if err := password.Check(newPassword, before.Email); err != nil {
		return Enrolled{}, err
	}
	newPassword = password.Normalise(newPassword)
	same, _, err := s.passwords.Verify(ctx, before.PasswordHash, newPassword)
	if err != nil {
		return Enrolled{}, err
	}
	if same {
		return Enrolled{}, fault.New(fault.Invalid, "password_unchanged", "choose another password than the temporary one")
	}
	hash, err := s.passwords.Hash(ctx, newPassword)
	if err != nil {
		return Enrolled{}, err
	}
	var refused error
	err = s.db.InTx(ctx, func(tx *database.Tx) error {
		refused = nil
		r, err := s.enrolling(ctx, tx, token)
		if err != nil {
			return err
		}
		if r.TOTPSecret == "" {
			return fault.New(fault.Conflict, "enrolment_not_begun", "ask for the secret of the second factor first")
		}
		if err := s.mayTry(r.row); err != nil {
			return err
		}
		by, err := s.check(ctx, tx, r.row, code)
		if err != nil {
			return err
		}
		if by == "" {
			refused = wrongCode()
			return s.countFailure(ctx, tx, r.ID)
		}
		return s.enrol(ctx, tx, &r, token, hash, &done)
	})
	switch {
	case err != nil:
		s.refused(ctx, before.ID, err)
		return Enrolled{}, fmt.Errorf("enrol an operator: %w", err)
	case refused != nil:
		s.failed(ctx, before.ID, wrongFactor)
		return Enrolled{}, refused
	}
	s.succeeded(ctx, before.ID, factorTOTP)
	return done, nil
}

func (s *Service) enrol(ctx context.Context, tx *database.Tx, r *sessionRow, token, hash string, done *Enrolled) (err error) {
	now := database.At(s.now())
	r.TOTPConfirmedAt, r.TemporaryUntil = now, database.Time{}
	if _, err := tx.Exec(ctx, `UPDATE operators SET password_hash = ?, temporary_until = NULL, totp_confirmed_at = ? WHERE id = ?`,
		hash, now, r.ID); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM operator_sessions WHERE operator_id = ? AND token_hash <> ?`, r.ID, sessiontoken.Hash(token)); err != nil {
		return err
	}
	if done.RecoveryCodes, err = s.newRecoveryCodes(ctx, tx, r.ID); err != nil {
		return err
	}
	if done.Token, err = s.passSecondFactor(ctx, tx, r, token); err != nil {
		return err
	}
	done.Session = r.session()
	return s.record(ctx, tx, entry{by: r.operator().Actor(), act: "operator.enrol", subject: r.ID, detail: map[string]string{"factor": factorTOTP}}, "")
}

// enrolling locks the account of the session and refuses one that is enrolled: a password alone must not replace a second factor.
func (s *Service) enrolling(ctx context.Context, tx *database.Tx, token string) (sessionRow, error) {
	r, err := s.session(ctx, tx.Get, token, tx.LockRows())
	if err == nil && r.enrolled() {
		err = enrolledAlready()
	}
	return r, err
}

func enrolledAlready() error {
	return fault.New(fault.Conflict, "enrolled_already", "there is a second factor already; for a lost one have an admin run orderly operators reset")
}
