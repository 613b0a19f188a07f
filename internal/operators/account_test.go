package operators_test

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/operators"
	"example.com/orderly/internal/testenv"
)

func TestAnAccountFromItsBeginningToItsEnd(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ada := b.enrolled(t, "ada@example.com", operators.RoleAdmin)
		bob := b.enrolled(t, "bob@example.com", operators.RoleOperator)
		_, _, err := b.service.Add(t.Context(), shell, operators.NewOperator{Email: " ADA@example.com ", Name: "Ada", Role: operators.RoleOperator})
		requireFault(t, err, fault.Conflict, "operator_exists")

		all, err := b.service.List(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 2)
		require.Equal(t, operators.RoleAdmin, all[0].Role, "who exists keeps the role")
		require.True(t, all[0].Enrolled)

		_, err = b.service.Remove(t.Context(), all[0].Actor(), all[1].ID, "", false)
		require.NoError(t, err)
		_, err = b.service.Authenticate(t.Context(), bob.token)
		requireFault(t, err, fault.Unauthenticated, "no_session")
		_, _, err = b.service.Login(t.Context(), bob.email, own)
		requireFault(t, err, fault.Unauthenticated, "wrong_credentials")
		_, err = b.service.Remove(t.Context(), shell, "", bob.email, false)
		requireFault(t, err, fault.NotFound, "operator_not_found")
		_, err = b.service.Remove(t.Context(), shell, "not-an-id\x00", "", false)
		requireFault(t, err, fault.NotFound, "operator_not_found")

		_, err = b.service.Remove(t.Context(), shell, "", ada.email, false)
		requireFault(t, err, fault.Conflict, "last_admin")
		_, err = b.service.Authenticate(t.Context(), ada.token)
		require.NoError(t, err, "a refused act has no effect")
		_, err = b.service.Remove(t.Context(), shell, "", ada.email, true)
		require.NoError(t, err)

		// The address is free again, for another account.
		again := b.add(t, bob.email, operators.RoleAdmin)
		again.login(t)
		admin := "operator:" + all[0].ID
		require.Equal(t, []string{
			"cli:root cli operator.add", admin + " operator-api operator.enrol", "cli:root cli operator.add",
			"operator:" + all[1].ID + " operator-api operator.enrol", "cli:root cli operator.add operator_exists",
			admin + " operator-api operator.remove", "cli:root cli operator.remove operator_not_found",
			"cli:root cli operator.remove last_admin", "cli:root cli operator.remove", "cli:root cli operator.add",
		}, b.acts(t))
	})
}

func TestWhatAnAccountCanNotBe(t *testing.T) {
	t.Parallel()
	b := setup(sqlite(t))
	for _, email := range []string{"", "ada", "Ada <ada@example.com>", "ada@exa mple.com", "ad\u212a@example.com", "ada@[::1]", "ada\n@example.com"} {
		_, _, err := b.service.Add(t.Context(), shell, operators.NewOperator{Email: email, Name: "Ada", Role: operators.RoleAdmin})
		requireFault(t, err, fault.Invalid, "invalid_email")
	}
	for _, name := range []string{"", " Ada", "A\u202eda", "A\x00da"} {
		_, _, err := b.service.Add(t.Context(), shell, operators.NewOperator{Email: "ada@example.com", Name: name, Role: operators.RoleAdmin})
		requireFault(t, err, fault.Invalid, "invalid_name")
	}
	_, _, err := b.service.Add(t.Context(), shell, operators.NewOperator{Email: "ada@example.com", Name: "Ada", Role: "customer"})
	requireFault(t, err, fault.Invalid, "invalid_role")
}

func TestATemporaryPasswordEnds(t *testing.T) {
	t.Parallel()
	b := setup(sqlite(t))
	ada := b.add(t, "ada@example.com", operators.RoleAdmin)
	b.move(24 * time.Hour)
	_, _, err := b.service.Login(t.Context(), ada.email, ada.password)
	requireFault(t, err, fault.Unauthenticated, "temporary_password_expired")
	_, _, err = b.service.Login(t.Context(), ada.email, "wrong")
	requireFault(t, err, fault.Unauthenticated, "wrong_credentials")
}

// A lost phone: all that it opened is closed, and the operator enrols anew.
func TestReset(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ada := b.enrolled(t, "ada@example.com", operators.RoleAdmin)
		before := *ada
		var err error
		_, ada.password, err = b.service.Reset(t.Context(), shell, "Ada@Example.com")
		require.NoError(t, err)
		_, err = b.service.Authenticate(t.Context(), before.token)
		requireFault(t, err, fault.Unauthenticated, "no_session")
		_, _, err = b.service.Login(t.Context(), before.email, before.password)
		requireFault(t, err, fault.Unauthenticated, "wrong_credentials")
		ada.login(t)
		requireFault(t, ada.give(t, before.recovery[0]), fault.Conflict, "not_enrolled")
		ada.enrol(t)
		ada.login(t)
		requireFault(t, ada.give(t, before.recovery[0]), fault.Unauthenticated, "wrong_code")
		require.NoError(t, ada.give(t, ada.code(t)))

		_, _, err = b.service.Reset(t.Context(), shell, "bob@example.com")
		requireFault(t, err, fault.NotFound, "operator_not_found")
	})
}

// A log-in that was under way while the account was reset: its password is worth nothing any more, and neither is a session opened with it.
func TestALogInBehindAResetIsRefused(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ada := b.add(t, "ada@example.com", operators.RoleAdmin)
		var once sync.Once
		behind := operators.New(b.db, operators.Options{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { // asked once the password was found right
			once.Do(func() {
				_, _, err := b.service.Reset(t.Context(), shell, ada.email)
				require.NoError(t, err)
			})
			return b.now()
		}})
		_, _, err := behind.Login(t.Context(), ada.email, ada.password)
		requireFault(t, err, fault.Unauthenticated, "wrong_credentials")
		var sessions int
		require.NoError(t, b.db.Get(t.Context(), &sessions, `SELECT count(*) FROM operator_sessions`))
		require.Zero(t, sessions)
	})
}

// The only admin who can log in stays until another one can.
func TestTheOnlyAdminWhoCanLogInStays(t *testing.T) {
	t.Parallel()
	b := setup(sqlite(t))
	ada, bob := b.enrolled(t, "ada@example.com", operators.RoleAdmin), b.add(t, "bob@example.com", operators.RoleAdmin)
	_, err := b.service.Remove(t.Context(), shell, "", ada.email, false)
	requireFault(t, err, fault.Conflict, "last_admin")
	bob.login(t)
	bob.enrol(t)
	_, err = b.service.Remove(t.Context(), shell, "", ada.email, false)
	require.NoError(t, err)
}

// A log-in that was under way while the account was removed leaves a session, which is worth nothing: the account is read with each request.
func TestASessionOfARemovedAccount(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ada := b.enrolled(t, "ada@example.com", operators.RoleAdmin)
		whole := ada.loggedIn(t)
		half := ada.login(t)
		_, err := b.db.Exec(t.Context(), `UPDATE operators SET removed_at = ?, password_hash = '', totp_secret = '', totp_confirmed_at = NULL`,
			database.At(b.now()))
		require.NoError(t, err)
		for _, token := range []string{whole, half} {
			_, err := b.service.Authenticate(t.Context(), token)
			requireFault(t, err, fault.Unauthenticated, "no_session")
		}
		_, err = b.service.BeginEnrolment(t.Context(), half)
		requireFault(t, err, fault.Unauthenticated, "no_session")
	})
}

// The role is read with each request, too.
func TestARoleThatWasChanged(t *testing.T) {
	t.Parallel()
	b := setup(sqlite(t))
	ada := b.enrolled(t, "ada@example.com", operators.RoleAdmin)
	_, err := b.db.Exec(t.Context(), `UPDATE operators SET role = 'operator'`)
	require.NoError(t, err)
	session, err := b.service.Authenticate(t.Context(), ada.token)
	require.NoError(t, err)
	require.Equal(t, operators.RoleOperator, session.Operator.Role)
}

// Of two admins who remove each other at the same time one stays.
func TestAdminsWhoRemoveEachOther(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		for range 5 {
			b.add(t, "ada@example.com", operators.RoleAdmin)
			b.add(t, "bob@example.com", operators.RoleAdmin)
			var both sync.WaitGroup
			errs := make([]error, 2)
			for i, email := range []string{"ada@example.com", "bob@example.com"} {
				both.Go(func() { _, errs[i] = b.service.Remove(t.Context(), shell, "", email, false) })
			}
			both.Wait()
			all, err := b.service.List(t.Context())
			require.NoError(t, err)
			require.Len(t, all, 1, "%v", errs)
			_, err = b.service.Remove(t.Context(), shell, all[0].ID, "", true)
			require.NoError(t, err)
		}
	})
}

func sqlite(t *testing.T) testenv.Open {
	return func(service string, sets ...database.Migrations) *database.DB {
		return testenv.SQLite(t, service, sets...)
	}
}
