package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
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
