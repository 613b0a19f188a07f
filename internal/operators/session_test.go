package operators_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/operators"
	"example.com/orderly/internal/source"
	"example.com/orderly/internal/testenv"
)

func TestASessionEnds(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ada := b.enrolled(t, "ada@example.com", operators.RoleAdmin)
		held := func(token string) bool {
			_, err := b.service.Authenticate(t.Context(), token)
			if err != nil {
				requireFault(t, err, fault.Unauthenticated, "no_session")
			}
			return err == nil
		}
		t.Run("when it was not used for half an hour", func(t *testing.T) {
			first, second := ada.loggedIn(t), ada.loggedIn(t)
			for range 3 {
				b.move(28 * time.Minute)
				require.True(t, held(first), "each use counts")
			}
			require.False(t, held(second))
			b.move(30 * time.Minute)
			require.False(t, held(first))
		})
		t.Run("after eight hours, used or not", func(t *testing.T) {
			token := ada.loggedIn(t)
			for range 19 {
				b.move(25 * time.Minute)
				require.True(t, held(token))
			}
			b.move(5 * time.Minute)
			require.False(t, held(token))
		})
		t.Run("ten minutes after the password, without a second factor", func(t *testing.T) {
			token := ada.login(t)
			b.move(9*time.Minute + 59*time.Second)
			require.True(t, held(token))
			b.move(time.Second)
			require.False(t, held(token))
			requireFault(t, ada.give(t, ada.code(t)), fault.Unauthenticated, "no_session")
		})
		t.Run("with a log-out", func(t *testing.T) {
			first, second := ada.loggedIn(t), ada.loggedIn(t)
			require.NoError(t, b.service.Logout(t.Context(), first))
			require.NoError(t, b.service.Logout(t.Context(), first))
			require.False(t, held(first))
			require.True(t, held(second))
		})
		t.Run("and leaves no row", func(t *testing.T) {
			b.move(9 * time.Hour)
			gone, err := b.service.PruneSessions(t.Context())
			require.NoError(t, err)
			require.Positive(t, gone)
			var left int
			require.NoError(t, b.db.Get(t.Context(), &left, `SELECT COUNT(*) FROM operator_sessions`))
			require.Zero(t, left)
		})
	})
}

// loggedIn logs in with both factors.
func (p *person) loggedIn(t *testing.T) (token string) {
	t.Helper()
	p.login(t)
	require.NoError(t, p.give(t, p.code(t)))
	p.b.move(30 * time.Second)
	return p.token
}

// An address that no operator has and a wrong password are the same: one hash, the same statements, the same answer.
func TestALogInTellsNotWhoExists(t *testing.T) {
	t.Parallel()
	b := setup(sqlite(t))
	ada := b.enrolled(t, "ada@example.com", operators.RoleAdmin)
	recorded, recorder := testenv.Recorded(t, b.db)
	service := b.on(recorded)
	var ran [2][]testenv.Statement
	var said [2]string
	for i, email := range []string{ada.email, "eve@example.com"} {
		ran[i] = recorder.Run(func() {
			_, _, err := service.Login(source.With(t.Context(), "192.0.2.7"), email, "wrong horse battery")
			requireFault(t, err, fault.Unauthenticated, "wrong_credentials")
			said[i] = err.Error()
		})
		require.EqualValues(t, i+1, operators.Hashes(service))
	}
	require.Equal(t, ran[0], ran[1])
	require.Equal(t, said[0], said[1])
	require.Equal(t, 2, strings.Count(b.log.String(), "source=192.0.2.7 outcome=wrong_password"))
	require.NotContains(t, b.log.String(), "eve@example.com")
	require.NotContains(t, b.log.String(), "horse")
}
