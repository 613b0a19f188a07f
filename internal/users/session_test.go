package users_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/testenv"
)

func TestLoginOpensASessionUntilLogout(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ctx, ada := t.Context(), b.register(t, "ada@example.com")
		token, session, err := b.service.Login(ctx, " ADA@example.com", password, "")
		require.NoError(t, err)
		require.Equal(t, ada.ID, session.UserID)
		raw, err := base64.RawURLEncoding.DecodeString(token)
		require.NoError(t, err)
		require.Len(t, raw, 32)
		require.Zero(t, b.count(t, `SELECT count(*) FROM sessions WHERE token_hash = ?`, token), "the token itself is stored nowhere")

		found, err := b.service.Authenticate(ctx, token)
		require.NoError(t, err)
		require.Equal(t, session, found)

		require.NoError(t, b.service.Logout(ctx, token))
		require.NoError(t, b.service.Logout(ctx, token))
		_, err = b.service.Authenticate(ctx, token)
		requireFault(t, err, fault.Unauthenticated, "no_session")
	})
}

func TestASessionEndsEightHoursAfterItsLogin(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ctx, ada := t.Context(), b.register(t, "ada@example.com")
		token, session, err := b.service.IssueSession(ctx, ada.ID)
		require.NoError(t, err)
		require.Equal(t, session.CreatedAt.Add(8*time.Hour), session.ExpiresAt)

		b.clock.move(8*time.Hour - time.Microsecond)
		_, err = b.service.Authenticate(ctx, token)
		require.NoError(t, err)
		pruned, err := b.service.PruneSessions(ctx)
		require.NoError(t, err)
		require.Zero(t, pruned)

		b.clock.move(time.Microsecond)
		_, err = b.service.Authenticate(ctx, token)
		requireFault(t, err, fault.Unauthenticated, "no_session")
		pruned, err = b.service.PruneSessions(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 1, pruned)
	})
}

func TestRevokeAllEndsOneCustomersSessionsOnly(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ctx := t.Context()
		ada, bob := b.register(t, "ada@example.com"), b.register(t, "bob@example.com")
		var gone []string
		for range 3 {
			token, _, err := b.service.IssueSession(ctx, ada.ID)
			require.NoError(t, err)
			gone = append(gone, token)
		}
		stays, _, err := b.service.IssueSession(ctx, bob.ID)
		require.NoError(t, err)
		require.NoError(t, b.service.RevokeAll(ctx, ada.ID))
		require.NoError(t, b.service.RevokeAll(ctx, ada.ID))
		for _, token := range gone {
			_, err := b.service.Authenticate(ctx, token)
			requireFault(t, err, fault.Unauthenticated, "no_session")
		}
		_, err = b.service.Authenticate(ctx, stays)
		require.NoError(t, err)
	})
}

func TestWrongCredentialsLookAlike(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	b.register(t, "ada@example.com")
	var answers []string
	for _, try := range [][2]string{
		{"ada@example.com", "wrong horse battery"},
		{"unknown@example.com", password},
		{"not an address", password},
		{"ada@example.com", strings.Repeat("x", 2000)},
		{"ada@example.com", ""},
	} {
		_, _, err := b.service.Login(t.Context(), try[0], try[1], "")
		requireFault(t, err, fault.Unauthenticated, "wrong_credentials")
		answers = append(answers, err.Error())
	}
	for _, answer := range answers {
		require.Equal(t, answers[0], answer)
	}
}

func TestAnOldHashIsRenewedAtLogin(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ctx, ada := t.Context(), b.register(t, "ada@example.com")
		salt := []byte("0123456789abcdef")
		old := fmt.Sprintf("$argon2id$v=19$m=8192,t=1,p=1$%s$%s", base64.RawStdEncoding.EncodeToString(salt),
			base64.RawStdEncoding.EncodeToString(argon2.IDKey([]byte(password), salt, 1, 8192, 1, 32)))
		_, err := b.db.Exec(ctx, `UPDATE users SET password_hash = ? WHERE id = ?`, old, ada.ID)
		require.NoError(t, err)
		stored := func() (hash string) {
			require.NoError(t, b.db.Get(ctx, &hash, `SELECT password_hash FROM users WHERE id = ?`, ada.ID))
			return hash
		}

		_, _, err = b.service.Login(ctx, "ada@example.com", "wrong horse battery", "")
		requireFault(t, err, fault.Unauthenticated, "wrong_credentials")
		require.Equal(t, old, stored())
		_, _, err = b.service.Login(ctx, "ada@example.com", password, "")
		require.NoError(t, err)
		renewed := stored()
		require.True(t, strings.HasPrefix(renewed, "$argon2id$v=19$m=19456,t=2,p=1$"), renewed)
		_, _, err = b.service.Login(ctx, "ada@example.com", password, "")
		require.NoError(t, err)
		require.Equal(t, renewed, stored())
	})
}

func TestWhatIsNoTokenCostsNoSQL(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	for _, token := range []string{"", "x", strings.Repeat("A", 42), strings.Repeat("A", 44), strings.Repeat("=", 43), strings.Repeat("A", 42) + "B"} {
		b.withoutSQL(t, func() {
			_, err := b.service.Authenticate(t.Context(), token)
			requireFault(t, err, fault.Unauthenticated, "no_session")
			require.NoError(t, b.service.Logout(t.Context(), token))
		})
	}
	_, err := b.service.Authenticate(t.Context(), strings.Repeat("A", 43))
	requireFault(t, err, fault.Unauthenticated, "no_session")
	_, _, err = b.service.IssueSession(t.Context(), uuid.NewString())
	requireFault(t, err, fault.NotFound, "user_not_found")
}

// A session must not slip in between a deletion's look at the sessions and its commit.
func TestNoSessionIsOpenedWhileItsCustomerIsBeingDeleted(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ctx, ada := t.Context(), b.register(t, "ada@example.com")
		issued := make(chan error, 1)
		require.NoError(t, b.db.InTx(ctx, func(tx *database.Tx) error {
			_, err := tx.Exec(ctx, `
				UPDATE users SET email = NULL, name = '', password_hash = '', deleted_at = ? WHERE id = ?`,
				database.At(b.clock.now()), ada.ID)
			if err != nil {
				return err
			}
			go func() {
				_, _, err := b.service.IssueSession(ctx, ada.ID)
				issued <- err
			}()
			if b.db.Engine() == database.SQLite {
				return nil // one writer: the other one cannot even begin
			}
			require.Eventually(t, func() bool {
				return len(issued) > 0 || b.count(t, `
					SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0
			}, 30*time.Second, 5*time.Millisecond, "the session neither waited nor was opened")
			return nil
		}))
		requireFault(t, <-issued, fault.NotFound, "user_not_found")
		require.Zero(t, b.count(t, `SELECT count(*) FROM sessions`))
	})
}
