package api_test

import (
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/api"
	"example.com/orderly/api/operator"
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
