package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"

	"example.com/orderly/api"
	"example.com/orderly/api/operator"
	"example.com/orderly/internal/operators"
)

// The walk asks for every route of both ports as everyone there is. The routes come from the tables that the program serves, so that a new one
// fails the walk until it is said here how to ask for it.

// Those who ask, from the least to the most.
const (
	stranger  = "stranger"
	customer  = "customer"
	enrolling = "operator with a temporary password"
	halfway   = "operator without the second factor"
	operates  = "operator"
	admin     = "admin"
)

var everyone = []string{stranger, customer, enrolling, halfway, operates, admin}

// call is how to ask for a route.
type call struct {
	least   string            // who may ask, said here a second time: a table that is wrong by one word must not pass
	body    string            // #n is replaced by a number that no other cell has
	headers []string          // the same
	want    int               // the status for those who may
	differs map[string]string // status and code for some of those who may, where the state of their account says no
	// own and foreign make the thing that the path names: one of the caller, and one that the caller must not know of, which is 404 with the
	// code unknown. Routes that name nothing of a customer have neither. A list has the foreign thing, which it must not show.
	own     func(w *walk, who caller) string
	foreign func(w *walk) string
	unknown string
}

var customersCalls = map[string]call{
	"POST /v1/users":              {least: stranger, body: `{"email":"new-#n@example.com","name":"Ada","password":"correct horse battery"}`, want: 201},
	"POST /v1/sessions":           {least: stranger, body: `{"email":"known@example.com","password":"correct horse battery"}`, want: 201},
	"GET /v1/sessions":            {least: customer, want: 200, foreign: (*walk).foreignSession},
	"DELETE /v1/sessions":         {least: customer, want: 204},
	"DELETE /v1/sessions/current": {least: customer, want: 204},
	"DELETE /v1/sessions/:id":     {least: customer, want: 204, own: (*walk).sessionOf, foreign: (*walk).foreignSession, unknown: "session_not_found"},
	"GET /v1/users/me":            {least: customer, want: 200},
	"PATCH /v1/users/me":          {least: customer, body: `{"name":"Ada #n"}`, headers: []string{"If-Match: *"}, want: 200},
	"DELETE /v1/users/me":         {least: customer, body: `{"current_password":"correct horse battery"}`, want: 204},
	"PUT /v1/users/me/password": {
		least: customer, body: `{"current_password":"correct horse battery","new_password":"another horse battery"}`, want: 204,
	},
	"GET /v1/products":    {least: stranger, want: 200},
	"POST /v1/orders":     {least: customer, body: `{"lines":[{"sku":"MUG-EUR","quantity":1}],"payment_method":"pm_card_visa"}`, headers: []string{"Idempotency-Key: walk-#n"}, want: 202},
	"GET /v1/orders":      {least: customer, want: 200, foreign: (*walk).foreignOrder},
	"GET /v1/orders/:id":  {least: customer, want: 200, own: (*walk).orderOf, foreign: (*walk).foreignOrder, unknown: "order_not_found"},
	"GET /openapi.yaml":   {least: stranger, want: 200},
	"GET /problems/:code": {least: stranger, want: 200, own: aCode},
}

var operatorsCalls = map[string]call{
	"POST /operator/v1/sessions": {least: stranger, body: `{"email":"admin@example.com","password":"correct horse battery"}`, want: 201},
	"POST /operator/v1/sessions/current/second-factor": {least: enrolling, body: `{"code":"#code"}`, want: 200, differs: map[string]string{
		enrolling: "409 not_enrolled", operates: "409 second_factor_given", admin: "409 second_factor_given",
	}},
	"DELETE /operator/v1/sessions/current": {least: enrolling, want: 204},
	"POST /operator/v1/enrolment": {least: enrolling, want: 201, differs: map[string]string{
		halfway: "409 enrolled_already", operates: "409 enrolled_already", admin: "409 enrolled_already",
	}},
	"POST /operator/v1/enrolment/confirmation": {least: enrolling, body: `{"password":"another horse battery","code":"000000"}`, want: 200, differs: map[string]string{
		enrolling: "401 wrong_code", halfway: "409 enrolled_already", operates: "409 enrolled_already", admin: "409 enrolled_already",
	}},
	"GET /operator/v1/me":               {least: operates, want: 200},
	"GET /operator/v1/operators":        {least: admin, want: 200},
	"DELETE /operator/v1/operators/:id": {least: admin, want: 204, own: func(w *walk, _ caller) string { return w.spareOperator() }},
	"GET /openapi.yaml":                 {least: stranger, want: 200},
	"GET /problems/:code":               {least: stranger, want: 200, own: aCode},
}

// caller is one who asks. The session is new for each cell, since a route may end it.
type caller struct{ who, token string }

// walk is both ports over one users database.
type walk struct {
	*world
	operators *operators.Service
	desk      *httptest.Server
	secrets   map[string]string // of second factors, by who
	passwords map[string]string
	cells     int

	mu sync.Mutex
	at time.Time
}

func (w *walk) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

// code is one of a second factor that was not used yet.
func (w *walk) code(who string) string {
	w.mu.Lock()
	w.at = w.at.Add(time.Minute)
	w.mu.Unlock()
	code, err := totp.GenerateCode(w.secrets[who], w.now())
	require.NoError(w.t, err)
	return code
}

const walkPassword = "correct horse battery"

func newWalk(t *testing.T) *walk {
	t.Helper()
	w := &walk{world: setup(t), secrets: map[string]string{}, passwords: map[string]string{}, at: today}
	require.NoError(t, w.people.Migrate(t.Context(), operators.Migrations()))
	w.operators = operators.New(w.people, operators.Options{Now: w.now, Log: w.cfg.Logger})
	w.desk = httptest.NewServer(operator.New(operator.Config{
		Operators: w.operators, Edge: api.Config{Registerer: w.metrics, Gatherer: w.metrics, Logger: w.cfg.Logger, Now: now},
	}))
	t.Cleanup(w.desk.Close)
	require.Equal(t, http.StatusCreated, w.do("POST", "/v1/users", `{"email":"known@example.com","name":"Ada","password":"`+walkPassword+`"}`).status)
	for _, who := range []string{enrolling, halfway, operates, admin} {
		role := operators.RoleOperator
		if who == admin {
			role = operators.RoleAdmin
		}
		_, temporary, err := w.operators.Add(t.Context(), shell, operators.NewOperator{Email: w.email(who), Name: "Ada", Role: role})
		require.NoError(t, err)
		w.passwords[who] = temporary
		if who == enrolling {
			continue
		}
		token, _, err := w.operators.Login(t.Context(), w.email(who), temporary)
		require.NoError(t, err)
		begun, err := w.operators.BeginEnrolment(t.Context(), token)
		require.NoError(t, err)
		w.secrets[who], w.passwords[who] = begun.Secret, walkPassword
		_, err = w.operators.Enrol(t.Context(), token, walkPassword, w.code(who))
		require.NoError(t, err)
	}
	return w
}

var shell = operators.Actor{Who: "cli:root", Door: "cli"}

func (w *walk) email(who string) string { return strings.ReplaceAll(who, " ", "-") + "@example.com" }

// as returns one who asks, logged in anew.
func (w *walk) as(who string) caller {
	w.t.Helper()
	c := caller{who: who}
	switch who {
	case stranger:
	case customer:
		// A new one each time, with a password: some routes change it, and one ends the account.
		w.cells++
		email := fmt.Sprintf("walker-%d@example.com", w.cells)
		made := w.do("POST", "/v1/users", `{"email":"`+email+`","name":"Ada","password":"`+walkPassword+`"}`)
		require.Equal(w.t, http.StatusCreated, made.status, made.body)
		c.token = w.logIn(email)
	default:
		token, _, err := w.operators.Login(w.t.Context(), w.email(who), w.passwords[who])
		require.NoError(w.t, err)
		if who == operates || who == admin {
			token, _, err = w.operators.SecondFactor(w.t.Context(), token, w.code(who))
			require.NoError(w.t, err)
		}
		c.token = token
	}
	return c
}

func (w *walk) orderOf(who caller) string {
	token := w.token("another")
	if who.who == customer {
		token = who.token
	}
	w.cells++
	placed := w.place(token, "own-"+strconv.Itoa(w.cells), `{"lines":[{"sku":"TEA-USD","quantity":1}],"payment_method":"pm_card_visa"}`)
	require.Equal(w.t, http.StatusAccepted, placed.status, placed.body)
	return placed.field("id")
}

// sessionOf is the id of the session of the caller; of another customer's for those who have none.
func (w *walk) sessionOf(who caller) string {
	token := who.token
	if who.who != customer {
		token = w.logIn("known@example.com")
	}
	listed := w.do("GET", "/v1/sessions", "", "Authorization: Bearer "+token)
	var body struct{ Sessions []struct{ ID string } }
	require.NoError(w.t, json.Unmarshal([]byte(listed.body), &body))
	require.NotEmpty(w.t, body.Sessions, listed.body)
	return body.Sessions[0].ID
}

func (w *walk) foreignSession() string { return w.sessionOf(caller{who: stranger}) }

func (w *walk) logIn(email string) string {
	session := w.do("POST", "/v1/sessions", `{"email":"`+email+`","password":"`+walkPassword+`"}`)
	require.Equal(w.t, http.StatusCreated, session.status, session.body)
	return session.field("token")
}

func aCode(*walk, caller) string { return "no_session" }

var parameter = regexp.MustCompile(`:\w+`)

func (w *walk) foreignOrder() string { return w.orderOf(caller{who: stranger}) }

func (w *walk) spareOperator() string {
	w.cells++
	added, _, err := w.operators.Add(w.t.Context(), shell, operators.NewOperator{
		Email: fmt.Sprintf("spare-%d@example.com", w.cells), Name: "Spare", Role: operators.RoleOperator,
	})
	require.NoError(w.t, err)
	return added.ID
}

// ask sends one cell's request, and requires what expected says: a status, and a code where it is a refusal.
func (w *walk) ask(at *httptest.Server, method, path string, how call, thing string, who caller, expected string) {
	w.t.Helper()
	w.cells++
	number := strconv.Itoa(w.cells)
	body := strings.ReplaceAll(how.body, "#n", number)
	if strings.Contains(body, "#code") {
		code := "000000"
		if w.secrets[who.who] != "" {
			code = w.code(who.who)
		}
		body = strings.ReplaceAll(body, "#code", code)
	}
	var headers []string
	if who.token != "" {
		headers = append(headers, "Authorization: Bearer "+who.token)
	}
	for _, header := range how.headers {
		headers = append(headers, strings.ReplaceAll(header, "#n", number))
	}
	customers := w.server
	if w.server = at; at == w.desk {
		w.document = publishedForOperators
	}
	r := w.do(method, parameter.ReplaceAllString(path, thing), body, headers...)
	w.server, w.document = customers, published
	got := strconv.Itoa(r.status)
	if r.status >= 400 {
		got += " " + r.field("code")
	}
	require.Equal(w.t, expected, got, "%s %s as %s: %s", method, path, who.who, r.body)
	if thing != "" && !parameter.MatchString(path) {
		require.NotContains(w.t, r.body, thing, "%s %s shows %s what belongs to another customer", method, path, who.who)
	}
}

// port walks the routes of one port. may says what is answered to one who may not; empty for one who may.
func (w *walk) port(at *httptest.Server, route, least string, how call, may func(who, least string) string) (cells int) {
	w.t.Helper()
	method, path, _ := strings.Cut(route, " ")
	require.Equal(w.t, how.least, least, "%s: who may ask for it", route)
	require.Equal(w.t, strings.Contains(path, "/:"), how.own != nil, "%s: say which thing the path names", route)
	for _, who := range everyone {
		c := w.as(who)
		thing := ""
		if how.own != nil {
			thing = how.own(w, c)
		}
		expected := may(who, least)
		allowed := expected == ""
		if allowed {
			expected = strconv.Itoa(how.want)
			if differs, found := how.differs[who]; found {
				expected = differs
			}
		}
		w.ask(at, method, path, how, thing, c, expected)
		cells++
		if how.foreign == nil {
			continue
		}
		if allowed && how.own != nil {
			expected = "404 " + how.unknown
		}
		w.ask(at, method, path, how, how.foreign(w), w.as(who), expected)
		cells++
	}
	return cells
}

func TestTheWalkOfRights(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	cells := 0

	// Every route of the engine is in the table, apart from health.
	var served, walked []string
	for _, route := range api.New(api.Config{}).Routes() {
		if _, path, _ := strings.Cut(route, " "); !slices.Contains([]string{"/healthz", "/readyz", "/metrics"}, path) {
			served = append(served, route)
		}
	}
	for _, r := range api.Rights() {
		walked = append(walked, r.Method+" "+r.Path)
	}
	require.ElementsMatch(t, served, walked)

	for _, r := range api.Rights() {
		route := r.Method + " " + r.Path
		how, known := customersCalls[route]
		require.True(t, known, "the walk does not know how to ask for %s", route)
		cells += w.port(w.server, route, r.Least, how, func(who, least string) string {
			if least == stranger || who == customer && least == customer {
				return ""
			}
			return "401 no_session" // sessions of operators, too, are worth nothing at the customers' port
		})
	}
	leasts := map[operator.Role]string{operator.Stranger: stranger, operator.Halfway: enrolling, operator.Operator: operates, operator.Admin: admin}
	for _, r := range operator.Rights() {
		route := r.Method + " " + r.Path
		how, known := operatorsCalls[route]
		require.True(t, known, "the walk does not know how to ask for %s", route)
		cells += w.port(w.desk, route, leasts[r.Least], how, func(who, least string) string {
			switch {
			case least == stranger:
				return ""
			case who == stranger || who == customer:
				return "401 no_session"
			case slices.Index(everyone, who) >= slices.Index(everyone, least):
				return ""
			case who == enrolling || who == halfway:
				return "403 second_factor_required"
			}
			return "403 admin_required"
		})
	}
	t.Logf("%d cells", cells)
}
