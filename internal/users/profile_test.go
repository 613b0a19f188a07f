package users_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/internal/users"
)

func TestRegisterMakesACustomerAndAnnouncesIt(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		made, err := b.service.Register(t.Context(), users.Registration{
			Email: "  Ada.Lovelace@Example.COM ", Name: " Ada Lovelace ", Password: password,
		})
		require.NoError(t, err)
		require.Equal(t, "ada.lovelace@example.com", made.Email)
		require.Equal(t, "Ada Lovelace", made.Name)
		require.EqualValues(t, 1, made.Version)
		require.Equal(t, b.clock.now(), made.CreatedAt)
		require.Equal(t, uuid.Version(7), uuid.MustParse(made.ID).Version())
		require.Equal(t, []string{"user.registered.v1"}, b.events(t, made.ID))

		read, err := b.service.Profile(t.Context(), made.ID)
		require.NoError(t, err)
		require.Equal(t, made, read)
		var stored string
		require.NoError(t, b.db.Get(t.Context(), &stored, `SELECT password_hash FROM users WHERE id = ?`, made.ID))
		require.True(t, strings.HasPrefix(stored, "$argon2id$v=19$m=19456,t=2,p=1$"), stored)
	})
}

func TestRegisterRefusesAndStoresNothing(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	for name, c := range map[string]struct {
		change func(r *users.Registration)
		code   string
	}{
		"no address":              {func(r *users.Registration) { r.Email = "" }, "invalid_email"},
		"no domain":               {func(r *users.Registration) { r.Email = "ada" }, "invalid_email"},
		"address with a name":     {func(r *users.Registration) { r.Email = "Ada <ada@example.com>" }, "invalid_email"},
		"two addresses":           {func(r *users.Registration) { r.Email = "a@example.com, b@example.com" }, "invalid_email"},
		"a header in the address": {func(r *users.Registration) { r.Email = "a@example.com\r\nBcc: b@example.com" }, "invalid_email"},
		"an IP as domain":         {func(r *users.Registration) { r.Email = "a@[127.0.0.1]" }, "invalid_email"},
		"a look-alike letter":     {func(r *users.Registration) { r.Email = "аda@example.com" }, "invalid_email"},
		"the sign of the kelvin":  {func(r *users.Registration) { r.Email = "\u212aate@example.com" }, "invalid_email"},
		"an I with a dot":         {func(r *users.Registration) { r.Email = "\u0130da@example.com" }, "invalid_email"},
		"a domain without a dot":  {func(r *users.Registration) { r.Email = "a@localhost" }, "invalid_email"},
		"a local part of 65":      {func(r *users.Registration) { r.Email = strings.Repeat("a", 65) + "@example.com" }, "invalid_email"},
		"a label of 64":           {func(r *users.Registration) { r.Email = "a@" + strings.Repeat("a", 64) + ".com" }, "invalid_email"},
		"a label without letters": {func(r *users.Registration) { r.Email = "a@example..com" }, "invalid_email"},
		"a label with a line":     {func(r *users.Registration) { r.Email = "a@my_shop.com" }, "invalid_email"},
		"an endless address":      {func(r *users.Registration) { r.Email = strings.Repeat("a", 250) + "@example.com" }, "invalid_email"},
		"no name":                 {func(r *users.Registration) { r.Name = " \t" }, "invalid_name"},
		"a header in the name":    {func(r *users.Registration) { r.Name = "Ada\r\nBcc: b@example.com" }, "invalid_name"},
		"a name that is no text":  {func(r *users.Registration) { r.Name = "\xff" }, "invalid_name"},
		"an invisible name":       {func(r *users.Registration) { r.Name = "\u3164" }, "invalid_name"},
		"a name of joiners":       {func(r *users.Registration) { r.Name = "\u200d \u200c" }, "invalid_name"},
		"a zero-width space":      {func(r *users.Registration) { r.Name = "A\u200bda" }, "invalid_name"},
		"a soft hyphen":           {func(r *users.Registration) { r.Name = "A\u00adda" }, "invalid_name"},
		"a turned direction":      {func(r *users.Registration) { r.Name = "Ada \u202etxt.exe" }, "invalid_name"},
		"a line separator":        {func(r *users.Registration) { r.Name = "Ada\u2028Bob" }, "invalid_name"},
		"an endless name":         {func(r *users.Registration) { r.Name = strings.Repeat("é", 201) }, "invalid_name"},
		"fourteen characters":     {func(r *users.Registration) { r.Password = "kx8 v2m qq0 z7" }, "weak_password"},
		"the own address":         {func(r *users.Registration) { r.Password = "ADA@example.com" }, "weak_password"},
		"too much password":       {func(r *users.Registration) { r.Password = strings.Repeat("x", 1025) }, "password_too_long"},
	} {
		t.Run(name, func(t *testing.T) {
			registration := users.Registration{Email: "ada@example.com", Name: "Ada", Password: password}
			c.change(&registration)
			_, err := b.service.Register(t.Context(), registration)
			requireFault(t, err, fault.Invalid, c.code)
			require.Zero(t, b.count(t, `SELECT count(*) FROM users`))
			require.Zero(t, b.count(t, `SELECT count(*) FROM outbox`))
		})
	}
}

func TestNamesAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	for i, name := range []string{
		"Ada", "O'Brien-Smith, Jr.", "علی\u200cرضا", "क्\u200dष", "👩\u200d💻", "❤\ufe0f", "李小龍", strings.Repeat("é", 200), strings.Repeat("e\u0301", 200),
	} {
		profile, err := b.service.EnsureCustomer(t.Context(), fmt.Sprintf("c%d@example.com", i), " "+name+"\n")
		require.NoError(t, err, name)
		require.Equal(t, norm.NFC.String(name), profile.Name)
	}
	longest := strings.Repeat("a", 64) + "@" + strings.Repeat("a", 63) + "." + strings.Repeat("b", 63) + "." + strings.Repeat("c", 58) + ".de"
	require.Len(t, longest, 254)
	_, err := b.service.EnsureCustomer(t.Context(), longest, "Ada")
	require.NoError(t, err)
}

func TestAnAddressBelongsToOneCustomer(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ctx := t.Context()
		codes := make([]string, 4)
		var all sync.WaitGroup
		for i := range codes {
			all.Go(func() {
				_, err := b.service.Register(ctx, users.Registration{Email: "Ada@example.com", Name: "Ada", Password: password})
				codes[i] = fault.CodeOf(err)
			})
		}
		all.Wait()
		require.Equal(t, []string{"", "email_taken", "email_taken", "email_taken"}, sorted(codes))
		require.Equal(t, 1, b.count(t, `SELECT count(*) FROM outbox`))

		other := b.register(t, "other@example.com")
		taken := "ADA@example.com"
		_, err := b.service.UpdateProfile(ctx, other.ID, users.Change{Email: &taken})
		requireFault(t, err, fault.Conflict, "email_taken")
		same, err := b.service.Profile(ctx, other.ID)
		require.NoError(t, err)
		require.Equal(t, other, same)
		require.Equal(t, []string{"user.registered.v1"}, b.events(t, other.ID))
	})
}

func TestUpdateProfileCountsVersionsWithoutGaps(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ctx, ada := t.Context(), b.register(t, "ada@example.com")
		var all sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			all.Go(func() {
				name := strings.Repeat("A", i+1)
				_, errs[i] = b.service.UpdateProfile(ctx, ada.ID, users.Change{Name: &name})
			})
		}
		all.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		email := "New@Example.com"
		changed, err := b.service.UpdateProfile(ctx, ada.ID, users.Change{Email: &email})
		require.NoError(t, err)
		require.EqualValues(t, 10, changed.Version)
		require.Equal(t, "new@example.com", changed.Email)
		require.Len(t, b.events(t, ada.ID), 10)

		_, err = b.service.UpdateProfile(ctx, ada.ID, users.Change{})
		requireFault(t, err, fault.Invalid, "nothing_to_change")
		bad := "no address"
		_, err = b.service.UpdateProfile(ctx, ada.ID, users.Change{Email: &bad})
		requireFault(t, err, fault.Invalid, "invalid_email")
		_, err = b.service.UpdateProfile(ctx, uuid.NewString(), users.Change{Email: &email})
		requireFault(t, err, fault.NotFound, "user_not_found")
	})
}

func TestDeleteForgetsTheCustomerOnce(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ctx, ada := t.Context(), b.register(t, "ada@example.com")
		token, _, err := b.service.Login(ctx, "ada@example.com", password, "")
		require.NoError(t, err)

		require.NoError(t, b.service.Delete(ctx, ada.ID))
		require.NoError(t, b.service.Delete(ctx, ada.ID))
		require.Equal(t, []string{"user.registered.v1", "user.deleted.v1"}, b.events(t, ada.ID))
		require.Equal(t, 1, b.count(t, `
			SELECT count(*) FROM users WHERE id = ? AND email IS NULL AND name = '' AND password_hash = ''`, ada.ID))
		_, err = b.service.Profile(ctx, ada.ID)
		requireFault(t, err, fault.NotFound, "user_not_found")
		_, err = b.service.Authenticate(ctx, token)
		requireFault(t, err, fault.Unauthenticated, "no_session")
		_, _, err = b.service.Login(ctx, "ada@example.com", password, "")
		requireFault(t, err, fault.Unauthenticated, "wrong_credentials")
		name := "Ada"
		_, err = b.service.UpdateProfile(ctx, ada.ID, users.Change{Name: &name})
		requireFault(t, err, fault.NotFound, "user_not_found")
		requireFault(t, b.service.Delete(ctx, uuid.NewString()), fault.NotFound, "user_not_found")

		again := b.register(t, "ada@example.com")
		require.NotEqual(t, ada.ID, again.ID)
	})
}

func TestEnsureCustomerMakesOneThatCannotLogIn(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ctx := t.Context()
		made, err := b.service.EnsureCustomer(ctx, "Demo@example.com", "Demo")
		require.NoError(t, err)
		again, err := b.service.EnsureCustomer(ctx, "demo@example.com", "Another name")
		require.NoError(t, err)
		require.Equal(t, made, again)
		require.Equal(t, []string{"user.registered.v1"}, b.events(t, made.ID))
		for _, guess := range []string{"", password} {
			_, _, err := b.service.Login(ctx, "demo@example.com", guess, "")
			requireFault(t, err, fault.Unauthenticated, "wrong_credentials")
		}
		token, _, err := b.service.IssueSession(ctx, made.ID)
		require.NoError(t, err)
		session, err := b.service.Authenticate(ctx, token)
		require.NoError(t, err)
		require.Equal(t, made.ID, session.UserID)
	})
}

func TestTheDatabaseItselfRefusesWhatMustNotBe(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		b := setup(open)
		ctx, at := t.Context(), database.At(b.clock.now())
		ada := b.register(t, "ada@example.com")
		hash := strings.Repeat("a", 64)
		for name, c := range map[string]struct {
			query string
			args  []any
		}{
			"an address in capitals":           {`UPDATE users SET email = 'ADA@example.com' WHERE id = ?`, []any{ada.ID}},
			"something that is no address":     {`UPDATE users SET email = 'ada' WHERE id = ?`, []any{ada.ID}},
			"a password in the clear":          {`UPDATE users SET password_hash = 'secret' WHERE id = ?`, []any{ada.ID}},
			"version zero":                     {`UPDATE users SET version = 0 WHERE id = ?`, []any{ada.ID}},
			"a customer without an address":    {`UPDATE users SET email = NULL WHERE id = ?`, []any{ada.ID}},
			"a deleted customer with a name":   {`UPDATE users SET deleted_at = ?, email = NULL, password_hash = '' WHERE id = ?`, []any{at, ada.ID}},
			"a deleted customer with a hash":   {`UPDATE users SET deleted_at = ?, email = NULL, name = '' WHERE id = ?`, []any{at, ada.ID}},
			"a session of an unknown customer": {insertSession, []any{hash, "unknown", at, database.At(at.Add(1e9))}},
			"a session that ends as it starts": {insertSession, []any{hash, ada.ID, at, at}},
			"a token instead of its hash":      {insertSession, []any{"token", ada.ID, at, database.At(at.Add(1e9))}},
		} {
			_, err := b.db.Exec(ctx, c.query, c.args...)
			require.Error(t, err, name)
			require.Regexp(t, `(?i)constraint`, err.Error(), name)
		}
	})
}

const insertSession = `INSERT INTO sessions (token_hash, user_id, created_at, expires_at) VALUES (?, ?, ?, ?)`
