package api_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/api"
)

const (
	passwordOfAda = "correct horse battery"
	otherPassword = "kx8 v2m qq0 z7t"
)

// signedUp is a customer with a password, and the header of a session of theirs.
func (w *world) signedUp(name string) (bearer string) {
	w.t.Helper()
	made := w.do("POST", "/v1/users", `{"email":"`+name+`@example.com","name":"`+name+`","password":"`+passwordOfAda+`"}`)
	require.Equal(w.t, http.StatusCreated, made.status, made.body)
	return w.loggedIn(name, passwordOfAda)
}

func (w *world) loggedIn(name, password string, headers ...string) (bearer string) {
	w.t.Helper()
	session := w.do("POST", "/v1/sessions", `{"email":"`+name+`@example.com","password":"`+password+`"}`, headers...)
	require.Equal(w.t, http.StatusCreated, session.status, session.body)
	return "Authorization: Bearer " + session.field("token")
}

func (w *world) holds(bearer string) bool {
	w.t.Helper()
	return w.do("GET", "/v1/users/me", "", bearer).status == http.StatusOK
}

func TestChangeThePassword(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada := w.signedUp("ada")
	other, bob := w.loggedIn("ada", passwordOfAda), w.signedUp("bob")
	change := func(current, chosen string) reply {
		return w.do("PUT", "/v1/users/me/password", `{"current_password":"`+current+`","new_password":"`+chosen+`"}`, ada)
	}
	requireProblem(t, change("wrong horse battery", otherPassword), 422, "wrong_password")
	for weak, rule := range map[string]string{
		"short": "at least 15 characters", "aaaaaaaaaaaaaaaa": "repeats itself", "1234567890123456": "runs", "ada@example.com": "email address", "password1234567": "tried first",
	} {
		refused := change(passwordOfAda, weak)
		requireProblem(t, refused, 422, "weak_password")
		require.Contains(t, refused.field("detail"), rule)
	}
	requireProblem(t, w.do("PUT", "/v1/users/me/password", `{"current_password":"x","new_password":"y"}`), 401, "no_session")
	require.True(t, w.holds(other))

	require.Equal(t, http.StatusNoContent, change(passwordOfAda, otherPassword).status)
	require.True(t, w.holds(ada))
	require.False(t, w.holds(other))
	require.True(t, w.holds(bob))
	requireProblem(t, w.do("POST", "/v1/sessions", `{"email":"ada@example.com","password":"`+passwordOfAda+`"}`), 401, "wrong_credentials")
	w.loggedIn("ada", otherPassword)
}

// A stolen session is no way to guess more passwords than a stranger may.
func TestAWrongCurrentPasswordCountsAsAFailedLogIn(t *testing.T) {
	t.Parallel()
	w := limitedWorld(t, api.Limits{WrongPasswords: two})
	ada := w.signedUp("ada")
	for i, ask := range []func(password string) reply{
		func(password string) reply {
			return w.do("PUT", "/v1/users/me/password", `{"current_password":"`+password+`","new_password":"`+otherPassword+`"}`, ada)
		},
		func(password string) reply {
			return w.do("PATCH", "/v1/users/me", `{"current_password":"`+password+`","email":"new@example.com"}`, ada, "If-Match: *")
		},
		func(password string) reply {
			return w.do("DELETE", "/v1/users/me", `{"current_password":"`+password+`"}`, ada)
		},
	} {
		if i < two.Burst {
			requireProblem(t, ask("wrong horse battery"), 422, "wrong_password")
			continue
		}
		requireProblem(t, ask("wrong horse battery"), 429, "too_many_wrong_passwords")
		requireProblem(t, ask(passwordOfAda), 429, "too_many_wrong_passwords")
	}
	requireProblem(t, w.do("POST", "/v1/sessions", `{"email":"ADA@example.com","password":"`+passwordOfAda+`"}`), 429, "too_many_wrong_passwords")
	require.True(t, w.holds(ada))
	require.Contains(t, w.do("GET", "/metrics", "").body, "orderly_logins_total{result=\"wrong\"} 2\n")
}

func TestChangeTheProfile(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada := w.signedUp("ada")
	w.signedUp("bob")
	tag := w.do("GET", "/v1/users/me", "", ada).header.Get("ETag")
	require.Equal(t, `"1"`, tag)
	change := func(body string, match ...string) reply {
		headers := []string{ada}
		for _, m := range match {
			headers = append(headers, "If-Match: "+m)
		}
		return w.do("PATCH", "/v1/users/me", body, headers...)
	}
	requireProblem(t, change(`{"name":"Countess"}`), 428, "precondition_required")
	for _, match := range []string{`"2"`, `W/"1"`, `1`, `"01"`, `"x"`, `""`} {
		requireProblem(t, change(`{"name":"Countess"}`, match), 412, "precondition_failed")
	}
	changed := change(`{"name":"Countess"}`, `"9", `+tag)
	require.Equal(t, http.StatusOK, changed.status, changed.body)
	require.Equal(t, `"2"`, changed.header.Get("ETag"))
	require.Equal(t, "Countess", changed.field("name"))
	requireProblem(t, change(`{"name":"Lady"}`, tag), 412, "precondition_failed")
	require.Equal(t, changed.body, w.do("GET", "/v1/users/me", "", ada).body)

	requireProblem(t, change(`{}`, `"2"`), 422, "nothing_to_change")
	requireProblem(t, change(`{"name":"\u202eada"}`, `"2"`), 422, "invalid_name")
	requireProblem(t, change(`{"email":"new@example.com"}`, `"2"`), 422, "current_password_missing")
	email := func(to, password string) reply {
		return change(`{"email":"`+to+`","current_password":"`+password+`"}`, "*")
	}
	requireProblem(t, email("new@example.com", "wrong horse battery"), 422, "wrong_password")
	requireProblem(t, email("a@localhost", passwordOfAda), 422, "invalid_email")
	taken, registration := email("bob@example.com", passwordOfAda), w.do("POST", "/v1/users", `{"email":"bob@example.com","name":"Eve","password":"`+passwordOfAda+`"}`)
	requireProblem(t, taken, 409, "email_taken")
	require.Equal(t, registration.field("detail"), taken.field("detail"))
	moved := email("New@Example.com", passwordOfAda)
	require.Equal(t, http.StatusOK, moved.status, moved.body)
	require.Equal(t, "new@example.com", moved.field("email"))
	w.loggedIn("new", passwordOfAda)
	require.Equal(t, 2, w.events("user.updated.v1"))
}

// events counts what the users service has announced.
func (w *world) events(eventType string) (count int) {
	w.t.Helper()
	require.NoError(w.t, w.people.Get(w.t.Context(), &count, `SELECT COUNT(*) FROM outbox WHERE event_type = ?`, eventType))
	return count
}

func TestListAndEndSessions(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada := w.signedUp("ada")
	phone := w.loggedIn("ada", passwordOfAda, "User-Agent: Phone/1.0")
	bob := w.signedUp("bob")
	listed := w.do("GET", "/v1/sessions", "", ada)
	require.Equal(t, http.StatusOK, listed.status)
	require.NotContains(t, listed.body, strings.TrimPrefix(ada, "Authorization: Bearer "))
	require.Equal(t, 2, strings.Count(listed.body, `"id"`))
	require.Equal(t, 1, strings.Count(listed.body, `"current":true`))
	require.Contains(t, listed.body, `"source":"127.0.0.1"`)
	ids := regexp.MustCompile(`"id":"([0-9a-f]{32})","created_at":"[^"]+","expires_at":"[^"]+","current":(true|false)`).FindAllStringSubmatch(listed.body, -1)
	require.Len(t, ids, 2, listed.body)
	own, other := ids[0][1], ids[1][1]
	if ids[0][2] != "true" {
		own, other = other, own
	}
	require.Regexp(t, other+`[^}]*"user_agent":"Phone/1.0"`, listed.body)

	foreign, unknown := w.do("DELETE", "/v1/sessions/"+other, "", bob), w.do("DELETE", "/v1/sessions/"+strings.Repeat("0", 32), "", bob)
	requireProblem(t, foreign, 404, "session_not_found")
	require.Equal(t, strings.ReplaceAll(foreign.body, other, strings.Repeat("0", 32)), unknown.body)
	require.True(t, w.holds(phone))
	require.Equal(t, http.StatusNoContent, w.do("DELETE", "/v1/sessions/"+other, "", ada).status)
	require.False(t, w.holds(phone))
	require.Equal(t, http.StatusNoContent, w.do("DELETE", "/v1/sessions/"+own, "", ada).status)
	require.False(t, w.holds(ada))

	first, second := w.loggedIn("ada", passwordOfAda), w.loggedIn("ada", passwordOfAda)
	require.Equal(t, http.StatusNoContent, w.do("DELETE", "/v1/sessions", "", first).status)
	require.False(t, w.holds(first))
	require.False(t, w.holds(second))
	require.True(t, w.holds(bob))
}

// An order that is under way when its customer is deleted comes to its end, and the address is free.
func TestDeleteTheAccount(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada := w.signedUp("ada")
	phone := w.loggedIn("ada", passwordOfAda)
	id := w.do("GET", "/v1/users/me", "", ada).field("id")
	placed := w.place(strings.TrimPrefix(ada, "Authorization: Bearer "), "key-1", twoMugs)
	require.Equal(t, http.StatusAccepted, placed.status)
	erase := func(password string) reply {
		return w.do("DELETE", "/v1/users/me", `{"current_password":"`+password+`"}`, ada)
	}
	requireProblem(t, erase("wrong horse battery"), 422, "wrong_password")
	require.True(t, w.holds(phone))
	require.Zero(t, w.events("user.deleted.v1"))

	require.Equal(t, http.StatusNoContent, erase(passwordOfAda).status)
	require.Equal(t, 1, w.events("user.deleted.v1"))
	for _, bearer := range []string{ada, phone} {
		requireProblem(t, w.do("GET", "/v1/users/me", "", bearer), 401, "no_session")
		requireProblem(t, w.do("GET", placed.header.Get("Location"), "", bearer), 401, "no_session")
		requireProblem(t, w.do("POST", "/v1/orders", twoMugs, bearer, "Idempotency-Key: key-2"), 401, "no_session")
	}
	require.NoError(t, w.complete(t.Context(), placed.field("id")))

	again := w.signedUp("ada")
	require.NotEqual(t, id, w.do("GET", "/v1/users/me", "", again).field("id"))
	requireProblem(t, w.do("GET", placed.header.Get("Location"), "", again), 404, "order_not_found")
}

// With deleted_at set and the session's row left, nothing is answered and no order accepted.
func TestASessionThatADeletionLeftBehindOpensNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token := w.token("ada")
	_, err := w.people.Exec(t.Context(), `UPDATE users SET email = NULL, name = '', password_hash = '', deleted_at = 1`)
	require.NoError(t, err)
	before := rows(t, w.orders)
	requireProblem(t, w.place(token, "key-1", twoMugs), 401, "no_session")
	requireProblem(t, w.do("GET", "/v1/users/me", "", "Authorization: Bearer "+token), 401, "no_session")
	require.Equal(t, before, rows(t, w.orders))
}

// A log-in that fails says the same, to the byte, whether there is such a customer, was one, or never.
func TestALogInThatFailsSaysTheSameToTheByte(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.signedUp("ada")
	w.token("ghost")
	gone := w.signedUp("gone")
	require.Equal(t, http.StatusNoContent, w.do("DELETE", "/v1/users/me", `{"current_password":"`+passwordOfAda+`"}`, gone).status)
	var first reply
	for i, name := range []string{"ada", "ghost", "gone", "unknown"} {
		r := w.do("POST", "/v1/sessions", `{"email":"`+name+`@example.com","password":"wrong horse battery"}`)
		requireProblem(t, r, 401, "wrong_credentials")
		r.header.Del("Date")
		if i == 0 {
			first = r
		}
		require.Equal(t, first, r, name)
	}
	t.Logf("%d bytes: %s", len(first.body), first.body)
}

// What a writer to Redis can do with a session of an invented token: nothing.
func TestAnInventedSessionInRedisOpensNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	victim, err := w.cache.EnsureCustomer(t.Context(), "ada@example.com", "Ada")
	require.NoError(t, err)
	token := strings.Repeat("A", 43)
	sum := sha256.Sum256([]byte(token))
	w.redis.HSet("orderly:users:session:"+hex.EncodeToString(sum[:]), "version", "1", "payload", "\x01"+`{"UserID":"`+victim.ID+
		`","CreatedAt":"2026-01-01T00:00:00Z","ExpiresAt":"2099-01-01T00:00:00Z","ReadAt":"2098-01-01T00:00:00Z"}`)
	requireProblem(t, w.do("GET", "/v1/users/me", "", "Authorization: Bearer "+token), 401, "no_session")
}
