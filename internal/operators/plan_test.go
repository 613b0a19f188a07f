package operators_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/operators"
	"example.com/orderly/internal/testenv"
)

// What grows with use is never read from end to end.
func TestALogInReadsLittle(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ada, eve := b.enrolled(t, "ada@example.com", operators.RoleAdmin), b.enrolled(t, "eve@example.com", operators.RoleAdmin)
		session, err := b.service.Authenticate(t.Context(), eve.token)
		require.NoError(t, err)
		for _, fill := range []string{
			`INSERT INTO operator_sessions (token_hash, operator_id, created_at, used_at, expires_at)
			 SELECT printed(n), ?, at, at, until FROM `,
			`INSERT INTO operator_recovery_codes (operator_id, code_hash, used_at)
			 SELECT ?, printed(n), at FROM `,
			`INSERT INTO audit (id, subject, at, actor, door, act) SELECT 'old-' || n, ?, at, 'cli:root', 'cli', 'operator.add' FROM `,
		} {
			fill = strings.Replace(fill, "printed(n)", printed[b.db.Engine()], 1)
			_, err := b.db.Exec(t.Context(), `WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 3000) `+fill+
				`(SELECT n, CAST(? AS TIMESTAMPTZ) AS at, CAST(? AS TIMESTAMPTZ) AS until FROM numbers) AS rows`,
				session.Operator.ID, database.At(b.now()), database.At(b.now().AddDate(0, 0, 1)))
			require.NoError(t, err)
		}
		recorded, recorder := testenv.Recorded(t, b.db)
		ada.b.service = b.on(recorded)
		for _, ran := range recorder.Explain(func() {
			token := ada.loggedIn(t)
			_, err := b.service.Authenticate(t.Context(), token)
			require.NoError(t, err)
			require.NoError(t, b.service.Logout(t.Context(), token))
			ada.login(t)
			require.NoError(t, ada.give(t, ada.recovery[0]))
			_, _, err = b.service.Reset(t.Context(), shell, ada.email)
			require.NoError(t, err)
			_, err = b.service.PruneSessions(t.Context())
			require.NoError(t, err)
		}) {
			for _, table := range ran.Plan.Scanned {
				require.NotContains(t, []string{"operator_sessions", "operator_recovery_codes", "audit"}, table, "%s\n%s", ran.Query, ran.Plan.Text)
			}
		}
	})
}

// printed is a number in the 64 characters of a hash.
var printed = map[database.Engine]string{database.SQLite: `printf('%064d', n)`, database.PostgreSQL: `lpad(CAST(n AS TEXT), 64, '0')`}
