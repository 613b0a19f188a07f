package operators_test

import (
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/operators"
	"example.com/orderly/internal/testenv"
)

func TestTheSecondFactor(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ada := b.enrolled(t, "ada@example.com", operators.RoleAdmin)

		half := ada.login(t)
		requireFault(t, ada.give(t, ada.wrong(t)), fault.Unauthenticated, "wrong_code")
		require.NoError(t, ada.give(t, ada.code(t)))
		session, err := b.service.Authenticate(t.Context(), ada.token)
		require.NoError(t, err)
		require.True(t, session.SecondFactor)
		require.Equal(t, b.now().Add(8*time.Hour), session.ExpiresAt)
		require.NotEqual(t, half, ada.token)
		_, err = b.service.Authenticate(t.Context(), half)
		requireFault(t, err, fault.Unauthenticated, "no_session")
		requireFault(t, ada.give(t, ada.code(t)), fault.Conflict, "second_factor_given")

		// A code is taken once, and none of an earlier step after it.
		ada.login(t)
		requireFault(t, ada.give(t, ada.code(t)), fault.Unauthenticated, "wrong_code")
		requireFault(t, ada.give(t, ada.codeAt(t, b.now().Add(-30*time.Second))), fault.Unauthenticated, "wrong_code")
		// The phone's clock may be off by a step.
		require.NoError(t, ada.give(t, ada.codeAt(t, b.now().Add(30*time.Second))))
		b.move(5 * time.Minute)
		ada.login(t)
		requireFault(t, ada.give(t, ada.codeAt(t, b.now().Add(60*time.Second))), fault.Unauthenticated, "wrong_code")
		requireFault(t, ada.give(t, ada.codeAt(t, b.now().Add(-60*time.Second))), fault.Unauthenticated, "wrong_code")
		require.NoError(t, ada.give(t, ada.codeAt(t, b.now().Add(-30*time.Second))))
	})
}

func TestRecoveryCodes(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ada, bob := b.enrolled(t, "ada@example.com", operators.RoleAdmin), b.enrolled(t, "bob@example.com", operators.RoleOperator)
		require.Len(t, ada.recovery, 10)
		require.Regexp(t, `^([A-Z2-7]{5}-){4}[A-Z2-7]{6}$`, ada.recovery[0])
		ada.login(t)
		requireFault(t, ada.give(t, bob.recovery[0]), fault.Unauthenticated, "wrong_code")
		require.NoError(t, ada.give(t, strings.ToLower(strings.ReplaceAll(ada.recovery[0], "-", " "))))
		session, err := b.service.Authenticate(t.Context(), ada.token)
		require.NoError(t, err)
		left, err := b.service.RecoveryCodesLeft(t.Context(), session.Operator.ID)
		require.NoError(t, err)
		require.EqualValues(t, 9, left)
		ada.login(t)
		requireFault(t, ada.give(t, ada.recovery[0]), fault.Unauthenticated, "wrong_code")
		var stored []string
		require.NoError(t, b.db.Select(t.Context(), &stored, `SELECT code_hash FROM operator_recovery_codes`))
		for _, code := range ada.recovery {
			require.NotContains(t, stored, strings.ReplaceAll(code, "-", ""))
		}
	})
}

// Many requests with one code at the same time: one is let in.
func TestACodeIsTakenOnceAtATime(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ada := b.enrolled(t, "ada@example.com", operators.RoleAdmin)
		for _, code := range []string{ada.code(t), ada.recovery[0]} {
			tokens := []string{ada.login(t), ada.login(t), ada.login(t), ada.login(t)}
			var all sync.WaitGroup
			var in atomic.Int64
			for _, token := range tokens {
				all.Go(func() {
					if _, _, err := b.service.SecondFactor(t.Context(), token, code); err == nil {
						in.Add(1)
					}
				})
			}
			all.Wait()
			require.EqualValues(t, 1, in.Load(), code)
		}
	})
}

// With the password alone the codes can't be guessed.
func TestGuessesAreBounded(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ada := b.enrolled(t, "ada@example.com", operators.RoleAdmin)
		for i := 1; i <= 100; i++ {
			if i%5 == 1 {
				ada.login(t) // the pause outlasts a session that waits
			}
			requireFault(t, ada.give(t, ada.wrong(t)), fault.Unauthenticated, "wrong_code")
			if i%5 != 0 || i == 100 {
				continue
			}
			err := ada.give(t, ada.code(t))
			requireFault(t, err, fault.Limited, "too_many_tries")
			wait, _ := fault.As(err)
			require.Equal(t, 15*time.Minute, wait.RetryAfter)
			b.move(15 * time.Minute)
		}
		b.move(time.Hour)
		ada.login(t)
		requireFault(t, ada.give(t, ada.code(t)), fault.Conflict, "second_factor_locked")
		requireFault(t, ada.give(t, ada.recovery[0]), fault.Conflict, "second_factor_locked")
		require.Contains(t, b.log.String(), "outcome=held_off")

		var err error
		_, ada.password, err = b.service.Reset(t.Context(), shell, ada.email)
		require.NoError(t, err)
		ada.enrol(t)
		ada.loggedIn(t)
	})
}

func TestARightCodeForgivesWrongOnes(t *testing.T) {
	t.Parallel()
	b := setup(sqlite(t))
	ada := b.enrolled(t, "ada@example.com", operators.RoleAdmin)
	for range 3 {
		ada.login(t)
		for range 4 {
			requireFault(t, ada.give(t, ada.wrong(t)), fault.Unauthenticated, "wrong_code")
		}
		ada.loggedIn(t)
	}
}

func TestEnrolment(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ada := b.add(t, "ada@example.com", operators.RoleAdmin)
		other := ada.login(t)
		ada.login(t)
		requireFault(t, ada.give(t, "123456"), fault.Conflict, "not_enrolled")
		enrol := func(password, code string) error {
			_, err := b.service.Enrol(t.Context(), ada.token, password, code)
			return err
		}
		requireFault(t, enrol(own, "123456"), fault.Conflict, "enrolment_not_begun")
		first, err := b.service.BeginEnrolment(t.Context(), ada.token)
		require.NoError(t, err)
		begun, err := b.service.BeginEnrolment(t.Context(), ada.token)
		require.NoError(t, err)
		uri, err := url.Parse(begun.URI)
		require.NoError(t, err)
		require.Equal(t, "otpauth://totp/Orderly:ada@example.com", uri.Scheme+"://"+uri.Host+uri.Path)
		require.Equal(t, url.Values{
			"algorithm": {"SHA1"}, "digits": {"6"}, "issuer": {"Orderly"}, "period": {"30"}, "secret": {begun.Secret},
		}, uri.Query())
		ada.secret = first.Secret
		requireFault(t, enrol(own, ada.code(t)), fault.Unauthenticated, "wrong_code")
		ada.secret = begun.Secret
		requireFault(t, enrol("short", ada.code(t)), fault.Invalid, "weak_password")
		requireFault(t, enrol(ada.email, ada.code(t)), fault.Invalid, "weak_password")
		requireFault(t, enrol(ada.password, ada.code(t)), fault.Invalid, "password_unchanged")
		done, err := b.service.Enrol(t.Context(), ada.token, "correct cafe\u0301 battery", ada.code(t)) // é as two characters
		require.NoError(t, err)
		require.True(t, done.Session.SecondFactor)
		require.True(t, done.Session.Operator.Enrolled)
		for _, ended := range []string{other, ada.token} {
			_, err = b.service.Authenticate(t.Context(), ended)
			requireFault(t, err, fault.Unauthenticated, "no_session")
		}
		_, _, err = b.service.Login(t.Context(), ada.email, ada.password)
		requireFault(t, err, fault.Unauthenticated, "wrong_credentials")

		// The code of the enrolment is used up.
		ada.password = "correct cafe\u0301 battery"
		ada.login(t)
		ada.password = "correct caf\u00e9 battery" // as one: both are one password (NIST SP 800-63B-4, section 3.1.1.2)
		ada.login(t)
		requireFault(t, ada.give(t, ada.code(t)), fault.Unauthenticated, "wrong_code")

		// One who has only the password can't replace the second factor.
		_, err = b.service.BeginEnrolment(t.Context(), ada.token)
		requireFault(t, err, fault.Conflict, "enrolled_already")
		hashes := operators.Hashes(b.service)
		requireFault(t, enrol("another horse battery", ada.code(t)), fault.Conflict, "enrolled_already")
		require.Equal(t, hashes, operators.Hashes(b.service), "a session is no way to guess the password")
		b.move(time.Minute)
		require.NoError(t, ada.give(t, ada.code(t)))
	})
}

// The secret of RFC 6238, appendix B: eight digits there, of which these are the last six.
func TestCodesAreThoseOfTheRFC(t *testing.T) {
	t.Parallel()
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1234567890: "005924", 20000000000: "353130"} {
		b := setup(sqlite(t))
		ada := b.enrolled(t, "ada@example.com", operators.RoleAdmin)
		_, err := b.db.Exec(t.Context(), `UPDATE operators SET totp_secret = ?, totp_step = 0`, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
		require.NoError(t, err)
		b.mu.Lock()
		b.at = time.Unix(at, 0)
		b.mu.Unlock()
		ada.login(t)
		require.NoError(t, ada.give(t, code))
	}
}
