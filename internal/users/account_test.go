package users_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/source"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/internal/users"
)

const otherPassword = "kx8 v2m qq0 z7t"

func TestADeletedCustomersSessionIsRefused(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ada := b.register(t, "ada@example.com")
		token := b.session(t, ada.ID)
		_, err := b.db.Exec(t.Context(), `UPDATE users SET email = NULL, name = '', password_hash = '', deleted_at = ? WHERE id = ?`,
			database.At(b.clock.now()), ada.ID)
		require.NoError(t, err)
		require.Equal(t, 1, b.count(t, `SELECT count(*) FROM sessions`), "its session was left behind")
		_, err = b.service.Authenticate(t.Context(), token)
		requireFault(t, err, fault.Unauthenticated, "no_session")
		s := miniRedis(t)
		b.process(t, s).requireNone(t, token)
	})
}

func TestChangingThePasswordEndsTheOtherSessions(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ctx, ada, bob := t.Context(), b.register(t, "ada@example.com"), b.register(t, "bob@example.com")
		one, other := b.process(t, s), b.process(t, s)
		stays, ends, bobs := b.session(t, ada.ID), b.session(t, ada.ID), b.session(t, bob.ID)
		for _, token := range []string{stays, ends, bobs} {
			other.requireSession(t, token)
		}
		for given, code := range map[[2]string]string{
			{"wrong horse battery", otherPassword}:  "wrong_password",
			{"", otherPassword}:                     "wrong_password",
			{strings.Repeat("x", 2000), password}:   "wrong_password",
			{password, "password1234567"}:           "weak_password",
			{password, "ada@example.com"}:           "weak_password",
			{password, strings.Repeat("xyz", 1000)}: "password_too_long",
		} {
			err := one.ChangePassword(ctx, ada.ID, stays, given[0], given[1])
			requireFault(t, err, fault.Invalid, code)
		}
		other.requireSession(t, ends)

		require.NoError(t, one.ChangePassword(ctx, ada.ID, stays, password, otherPassword))
		other.requireSession(t, stays)
		other.requireNone(t, ends)
		other.requireSession(t, bobs)
		_, _, err := one.Login(ctx, "ada@example.com", password, "")
		requireFault(t, err, fault.Unauthenticated, "wrong_credentials")
		_, _, err = one.Login(ctx, "ada@example.com", otherPassword, "")
		require.NoError(t, err)
		_, _, err = one.Login(ctx, "bob@example.com", password, "")
		require.NoError(t, err)
	})
}

// A log-in that has found the old password right must not open a session after all others were ended.
func TestALogInBehindAChangeOfThePasswordIsRefused(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ctx, ada := t.Context(), b.register(t, "ada@example.com")
		token := b.session(t, ada.ID)
		b.service.BeforeSession(func() { require.NoError(t, b.service.ChangePassword(ctx, ada.ID, token, password, otherPassword)) })
		_, _, err := b.service.Login(ctx, "ada@example.com", password, "")
		requireFault(t, err, fault.Unauthenticated, "wrong_credentials")
		require.Equal(t, 1, b.count(t, `SELECT count(*) FROM sessions`))
	})
}

// Two log-ins with an old hash: the one that comes second finds it renewed.
func TestALogInBehindARenewedHashSucceeds(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ctx, ada := t.Context(), b.register(t, "ada@example.com")
	b.service.BeforeSession(func() {
		_, err := b.db.Exec(ctx, `UPDATE users SET password_hash = (SELECT password_hash FROM users WHERE email = 'twin@example.com') WHERE id = ?`, ada.ID)
		require.NoError(t, err)
	})
	b.register(t, "twin@example.com")
	_, session, err := b.service.Login(ctx, "ada@example.com", password, "")
	require.NoError(t, err)
	require.Equal(t, ada.ID, session.UserID)
}

func TestTwoChangesOfOnePasswordAreOneAndAConflict(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ada := b.register(t, "ada@example.com")
		token := b.session(t, ada.ID)
		codes := make(chan string, 2)
		for _, chosen := range []string{otherPassword, otherPassword + "!"} {
			go func() { codes <- fault.CodeOf(b.service.ChangePassword(t.Context(), ada.ID, token, password, chosen)) }()
		}
		first, second := <-codes, <-codes
		require.Contains(t, []string{"password_changed", "wrong_password"}, first+second, "one of them succeeds")
	})
}

func TestAPasswordIsOneInBothFormsAndAnEarlierHashIsRenewed(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ctx := t.Context()
	const composed, decomposed = "caf\u00e9 au lait, s'il vous plait", "cafe\u0301 au lait, s'il vous plait"
	ada, err := b.service.Register(ctx, users.Registration{Email: "ada@example.com", Name: "Ada", Password: decomposed})
	require.NoError(t, err)
	logsIn := func(given string) bool {
		_, _, err := b.service.Login(ctx, "ada@example.com", given, "")
		if err != nil {
			require.Equal(t, "wrong_credentials", fault.CodeOf(err))
		}
		return err == nil
	}
	require.True(t, logsIn(composed))
	require.True(t, logsIn(decomposed))

	raw, err := b.service.HashOf(ctx, decomposed) // as releases before this one did
	require.NoError(t, err)
	_, err = b.db.Exec(ctx, `UPDATE users SET password_hash = ? WHERE id = ?`, raw, ada.ID)
	require.NoError(t, err)
	require.False(t, logsIn(composed), "the bytes of the hash are others")
	require.True(t, logsIn(decomposed))
	require.True(t, logsIn(composed), "the hash was renewed")

	_, err = b.db.Exec(ctx, `UPDATE users SET email = 'ada@localhost' WHERE id = ?`, ada.ID)
	require.NoError(t, err)
	_, _, err = b.service.Login(ctx, "Ada@localhost", composed, "")
	require.NoError(t, err, "an address that could not be chosen today")
}

func TestACustomersSessionsAreListedAndEndedOneByOne(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ada, bob := b.register(t, "ada@example.com"), b.register(t, "bob@example.com")
		from := source.With(t.Context(), "192.0.2.7")
		first, session, err := b.service.Login(from, "ada@example.com", password, "Mozilla/5.0\x00 (X11;\u202e Linux)\xff"+strings.Repeat("é", 200))
		require.NoError(t, err)
		b.clock.move(time.Second)
		second := b.session(t, ada.ID)
		bobs := b.session(t, bob.ID)

		listed, err := b.service.Sessions(t.Context(), ada.ID)
		require.NoError(t, err)
		require.Len(t, listed, 2)
		require.Equal(t, session, listed[1].Session)
		require.Equal(t, "192.0.2.7", listed[1].Source)
		require.True(t, strings.HasPrefix(listed[1].UserAgent, "Mozilla/5.0 (X11; Linux)é"), listed[1].UserAgent)
		require.LessOrEqual(t, len(listed[1].UserAgent), 256)
		require.Empty(t, listed[0].Source+listed[0].UserAgent)
		found, err := b.service.Authenticate(t.Context(), first)
		require.NoError(t, err)
		require.Equal(t, session, found)

		others, err := b.service.Sessions(t.Context(), bob.ID)
		require.NoError(t, err)
		for _, id := range []string{others[0].ID, "", "nonsense", first} {
			requireFault(t, b.service.EndSession(t.Context(), ada.ID, id), fault.NotFound, "session_not_found")
		}
		require.NoError(t, b.service.EndSession(t.Context(), ada.ID, listed[1].ID))
		requireFault(t, b.service.EndSession(t.Context(), ada.ID, listed[1].ID), fault.NotFound, "session_not_found")
		_, err = b.service.Authenticate(t.Context(), first)
		requireFault(t, err, fault.Unauthenticated, "no_session")
		for _, token := range []string{second, bobs} {
			_, err = b.service.Authenticate(t.Context(), token)
			require.NoError(t, err)
		}
		b.clock.move(9 * time.Hour)
		listed, err = b.service.Sessions(t.Context(), ada.ID)
		require.NoError(t, err)
		require.Empty(t, listed, "those that have ended are not listed")
	})
}

func TestEndingASessionIsHeardEverywhereAtOnce(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, s server) {
		b := onSQLite(t)
		ada := b.register(t, "ada@example.com")
		one, other := b.process(t, s), b.process(t, s)
		token := b.session(t, ada.ID)
		other.requireSession(t, token)
		listed, err := one.Sessions(t.Context(), ada.ID)
		require.NoError(t, err)
		require.NoError(t, one.EndSession(t.Context(), ada.ID, listed[0].ID))
		b.withoutSQL(t, func() { other.requireNone(t, token) })
	})
}

func TestAProfileIsChangedOnlyAtTheVersionThatWasRead(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ctx, ada := t.Context(), b.register(t, "ada@example.com")
		change := func(name string, versions ...int64) error {
			_, err := b.service.UpdateProfile(ctx, ada.ID, users.Change{Name: &name, Versions: versions})
			return err
		}
		requireFault(t, change("Countess", 2), fault.Conflict, "profile_changed")
		require.NoError(t, change("Countess", 7, 1))
		requireFault(t, change("Lady", 1), fault.Conflict, "profile_changed")
		results := make(chan error, 4)
		for range 4 {
			go func() { results <- change("Lady", 2) }()
		}
		var done int
		for range 4 {
			if err := <-results; err == nil {
				done++
			} else {
				requireFault(t, err, fault.Conflict, "profile_changed")
			}
		}
		require.Equal(t, 1, done)
		require.NoError(t, b.service.Delete(ctx, ada.ID))
		requireFault(t, change("Countess", 4), fault.NotFound, "user_not_found")
	})
}

// What an answer costs says as much as the answer: statements and hashes are counted, since times are chance.
func TestAnswersDoNotTellWhoExists(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ctx, ada, gone := t.Context(), b.register(t, "ada@example.com"), b.register(t, "gone@example.com")
		ghost, err := b.service.EnsureCustomer(ctx, "ghost@example.com", "Ghost")
		require.NoError(t, err)
		require.NoError(t, b.service.Delete(ctx, gone.ID))
		recorded, recorder := testenv.Recorded(t, b.db)
		service := users.New(outbox.New(recorded, "users", b.clock.now), b.clock.now)
		cost := func(do func() error) (said string, hashes int64, statements int) {
			before := service.Hashes()
			ran := recorder.Run(func() { said = do().Error() })
			return said, service.Hashes() - before, len(ran)
		}
		for _, given := range []string{"wrong horse battery", "", "cafe\u0301 au lait", strings.Repeat("x", 5000)} {
			type told struct {
				said       string
				hashes     int64
				statements int
			}
			var all []told
			for _, email := range []string{
				"ada@example.com", "unknown@example.com", "gone@example.com", "ghost@example.com", "no address", "\u212aate@example.com", "a@localhost",
			} {
				said, hashes, statements := cost(func() error { _, _, err := service.Login(ctx, email, given, ""); return err })
				all = append(all, told{said, hashes, statements})
				require.Equal(t, all[0], all[len(all)-1], "%q %q", email, given)
			}
			t.Logf("log-in with %.12q: %+v", given, all[0])

			all = nil
			for _, id := range []string{ada.ID, ghost.ID} {
				said, hashes, statements := cost(func() error { return service.ChangePassword(ctx, id, "", given, otherPassword) })
				all = append(all, told{said, hashes, statements})
				require.Equal(t, all[0], all[len(all)-1], given)
			}
			t.Logf("change of the password with %.12q: %+v", given, all[0])
		}
		said, hashes, statements := cost(func() error {
			_, err := service.Register(ctx, users.Registration{Email: "ada@example.com", Name: "Eve", Password: otherPassword})
			return errors.Join(err)
		})
		t.Logf("registration with a taken address: %s, %d hashes, %d statements", said, hashes, statements)
		require.EqualValues(t, 1, hashes)
	})
}
