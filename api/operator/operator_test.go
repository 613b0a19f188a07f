package operator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/api"
	"example.com/orderly/api/operator"
	"example.com/orderly/internal/limit"
	"example.com/orderly/internal/operators"
)

// What an operator does from the command line's temporary password to the log-out, over HTTP.
func TestAnOperatorFromEnrolmentToLogOut(t *testing.T) {
	t.Parallel()
	w := setup(t)
	added, temporary, err := w.operators.Add(t.Context(), shell, operators.NewOperator{Email: "ada@example.com", Name: "Ada", Role: operators.RoleAdmin})
	require.NoError(t, err)

	requireProblem(t, w.do("POST", "/operator/v1/sessions", `{"email":"ada@example.com","password":"wrong horse"}`, ""), 401, "wrong_credentials")
	half := w.do("POST", "/operator/v1/sessions", fmt.Sprintf(`{"email":"ada@example.com","password":"%s"}`, temporary), "")
	require.Equal(t, http.StatusCreated, half.status, half.body)
	require.Equal(t, "enrolment", half.field("next"))
	requireProblem(t, w.do("GET", "/operator/v1/me", "", half.field("token")), 403, "second_factor_required")

	begun := w.do("POST", "/operator/v1/enrolment", "", half.field("token"))
	require.Equal(t, http.StatusCreated, begun.status, begun.body)
	require.Contains(t, begun.field("uri"), "secret="+begun.field("secret"))
	confirm := fmt.Sprintf(`{"password":"correct horse battery","code":"%s"}`, w.code(begun.field("secret")))
	done := w.do("POST", "/operator/v1/enrolment/confirmation", confirm, half.field("token"))
	require.Equal(t, http.StatusOK, done.status, done.body)
	var codes struct {
		RecoveryCodes []string `json:"recovery_codes"`
	}
	require.NoError(t, json.Unmarshal([]byte(done.body), &codes))
	require.Len(t, codes.RecoveryCodes, 10)

	me := w.do("GET", "/operator/v1/me", "", done.field("token"))
	require.Equal(t, http.StatusOK, me.status)
	require.JSONEq(t, fmt.Sprintf(`{"id":"%s","email":"ada@example.com","name":"Ada","role":"admin","enrolled":true,"created_at":"2026-03-01T12:00:00Z",
		"recovery_codes_left":10,"session_expires_at":"2026-03-01T20:00:00Z"}`, added.ID), me.body)
	require.Equal(t, http.StatusNoContent, w.do("DELETE", "/operator/v1/sessions/current", "", done.field("token")).status)
	requireProblem(t, w.do("GET", "/operator/v1/me", "", done.field("token")), 401, "no_session")

	w.move(time.Minute)
	half = w.do("POST", "/operator/v1/sessions", `{"email":"ada@example.com","password":"correct horse battery"}`, "")
	require.Equal(t, "second_factor", half.field("next"))
	requireProblem(t, w.do("POST", "/operator/v1/enrolment", "", half.field("token")), 409, "enrolled_already")
	given := w.do("POST", "/operator/v1/sessions/current/second-factor", `{"code":"`+codes.RecoveryCodes[0]+`"}`, half.field("token"))
	require.Equal(t, http.StatusOK, given.status, given.body)

	bob, _, err := w.operators.Add(t.Context(), shell, operators.NewOperator{Email: "bob@example.com", Name: "Bob", Role: operators.RoleOperator})
	require.NoError(t, err)
	listed := w.do("GET", "/operator/v1/operators", "", given.field("token"))
	require.Contains(t, listed.body, `"email":"ada@example.com"`)
	require.Contains(t, listed.body, `"email":"bob@example.com"`)
	require.Equal(t, http.StatusNoContent, w.do("DELETE", "/operator/v1/operators/"+bob.ID, "", given.field("token")).status)
	requireProblem(t, w.do("DELETE", "/operator/v1/operators/"+bob.ID, "", given.field("token")), 404, "operator_not_found")
	requireProblem(t, w.do("DELETE", "/operator/v1/operators/"+added.ID, "", given.field("token")), 409, "last_admin")

	// Neither the log nor the database holds what lets anyone in.
	var kept []string
	require.NoError(t, w.people.Select(t.Context(), &kept, `SELECT token_hash FROM operator_sessions UNION ALL SELECT detail FROM audit
		UNION ALL SELECT code_hash FROM operator_recovery_codes UNION ALL SELECT password_hash FROM operators`))
	seen := w.log.String() + strings.Join(kept, "\n")
	for _, secret := range append(codes.RecoveryCodes, temporary, "horse", half.field("token"), given.field("token"), begun.field("secret")) {
		require.NotContains(t, seen, secret)
	}
	require.Regexp(t, `level=WARN msg="a log-in of an operator has failed" operator_id=`+added.ID+` source=192.0.2.1 outcome=wrong_password`, w.log.String())
	require.Regexp(t, `level=INFO msg=request method=GET route=/operator/v1/me status=200 .*account_id=`+added.ID, w.log.String())
}

// There is nothing else on the port: no health, no metrics, nothing of the customers' API.
func TestNothingElseIsOnThePort(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/v1/products", "/v1/users/me", "/debug/pprof/"} {
		requireProblem(t, w.do("GET", path, "", ""), 404, "route_not_found")
	}
	requireProblem(t, w.do("PUT", "/operator/v1/me", "", ""), 405, "method_not_allowed")
	requireProblem(t, w.do("POST", "/operator/v1/sessions", `{"email":"ada@example.com","password":"a","admin":true}`, ""), 400, "unknown_field")
}

// Guesses are limited by account and source, and too many codes are answered with the time to wait.
func TestGuessesAreLimited(t *testing.T) {
	t.Parallel()
	w := setup(t, api.Limits{WrongPasswords: limit.Rate{Burst: 2, Per: 10 * time.Minute}})
	_, temporary, err := w.operators.Add(t.Context(), shell, operators.NewOperator{Email: "ada@example.com", Name: "Ada", Role: operators.RoleAdmin})
	require.NoError(t, err)
	for range 2 {
		requireProblem(t, w.do("POST", "/operator/v1/sessions", `{"email":"ada@example.com","password":"wrong horse"}`, ""), 401, "wrong_credentials")
	}
	refused := w.do("POST", "/operator/v1/sessions", fmt.Sprintf(`{"email":" ADA@example.com","password":"%s"}`, temporary), "")
	requireProblem(t, refused, 429, "too_many_wrong_passwords")
	require.Equal(t, "300", refused.header.Get("Retry-After"))
	w.move(10 * time.Minute)
	half := w.do("POST", "/operator/v1/sessions", fmt.Sprintf(`{"email":"ada@example.com","password":"%s"}`, temporary), "")
	require.Equal(t, http.StatusCreated, half.status, half.body)

	begun := w.do("POST", "/operator/v1/enrolment", "", half.field("token"))
	confirm := func(code string) reply {
		return w.do("POST", "/operator/v1/enrolment/confirmation", `{"password":"correct horse battery","code":"`+code+`"}`, half.field("token"))
	}
	for range 5 {
		requireProblem(t, confirm("no code"), 401, "wrong_code")
	}
	refused = confirm(w.code(begun.field("secret")))
	requireProblem(t, refused, 429, "too_many_tries")
	require.Equal(t, "900", refused.header.Get("Retry-After"))
}

// Each code that only this port answers with has a page and stands in the document; no page has a code that is not in use.
func TestEachCodeHasAPage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	document := w.do("GET", "/openapi.yaml", "", "").body
	inUse := map[string]bool{}
	for _, pattern := range []string{"*.go", "../../internal/operators/*.go"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			for _, found := range regexp.MustCompile(`(?:fault\.New\(fault\.\w+|api\.Refuse\(http\.\w+),\s*"(\w+)"`).FindAllSubmatch(text, -1) {
				inUse[string(found[1])] = true
			}
		}
	}
	for _, onlyOnTheCommandLine := range []string{"operator_exists", "invalid_email", "invalid_name", "invalid_role"} {
		require.True(t, inUse[onlyOnTheCommandLine])
		delete(inUse, onlyOnTheCommandLine)
	}
	for code := range inUse {
		page := w.do("GET", "/problems/"+code, "", "")
		require.Equal(t, http.StatusOK, page.status, code)
		require.Contains(t, page.body, "<code>"+code+"</code>")
		require.Contains(t, document, "`"+code+"`")
	}
	for _, code := range operator.ProblemCodes() {
		require.True(t, inUse[code], "no answer has the code %s", code)
	}
}

// The document is read line by line: paths have an indent of two, their methods one of four.
func TestTheDocumentHasExactlyTheRoutesThereAre(t *testing.T) {
	t.Parallel()
	w := setup(t)
	served := w.do("GET", "/openapi.yaml", "", "")
	require.Equal(t, "application/yaml", served.header.Get("Content-Type"))
	_, paths, found := strings.Cut(served.body, "\npaths:\n")
	require.True(t, found)
	paths, _, _ = strings.Cut(paths, "\nsecurity:")
	open := map[string]bool{} // whether it needs no session
	path, at := "", ""
	for line := range strings.SplitSeq(paths, "\n") {
		if m := regexp.MustCompile(`^  (/\S*):$`).FindStringSubmatch(line); m != nil {
			path = regexp.MustCompile(`\{(\w+)\}`).ReplaceAllString(m[1], ":$1")
		}
		if m := regexp.MustCompile(`^    (get|put|post|delete|patch|head|options):$`).FindStringSubmatch(line); m != nil {
			at = strings.ToUpper(m[1]) + " " + path
			open[at] = false
		}
		if line == "      security: []" {
			open[at] = true
		}
	}
	there := map[string]bool{}
	for _, r := range operator.Rights() {
		there[r.Method+" "+r.Path] = r.Least == operator.Stranger
	}
	require.Equal(t, there, open)
}
