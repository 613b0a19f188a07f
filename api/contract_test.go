package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/api"
	"example.com/orderly/events"
	"example.com/orderly/internal/notifications"
)

func TestAnOrderFromRegistrationToItsEnd(t *testing.T) {
	t.Parallel()
	w := setup(t, func(w *world) {
		w.cfg.Mails = func(context.Context, string) ([]notifications.Sent, error) {
			return []notifications.Sent{{Template: "order.completed", At: today.Add(time.Second)}}, nil
		}
	})
	made := w.do("POST", "/v1/users", `{"email":"Ada@Example.com","name":"Ada","password":"correct horse battery"}`)
	require.Equal(t, http.StatusCreated, made.status)
	require.Equal(t, "/v1/users/me", made.header.Get("Location"))
	golden(t, "user", made)
	requireProblem(t, w.do("POST", "/v1/users", `{"email":"ada@example.com","name":"Ada","password":"correct horse battery"}`), 409, "email_taken")

	session := w.do("POST", "/v1/sessions", `{"email":"ada@example.com","password":"correct horse battery"}`)
	require.Equal(t, http.StatusCreated, session.status)
	require.Equal(t, "no-store", session.header.Get("Cache-Control"))
	golden(t, "session", session)
	requireProblem(t, w.do("POST", "/v1/sessions", `{"email":"ada@example.com","password":"wrong horse"}`), 401, "wrong_credentials")
	bearer := "Authorization: Bearer " + session.field("token")

	me := w.do("GET", "/v1/users/me", "", bearer)
	require.Equal(t, http.StatusOK, me.status)
	require.Equal(t, made.body, me.body)

	golden(t, "products", w.do("GET", "/v1/products", ""))

	placed := w.place(session.field("token"), "key-1", twoMugs)
	require.Equal(t, http.StatusAccepted, placed.status, placed.body)
	require.Equal(t, "/v1/orders/"+placed.field("id"), placed.header.Get("Location"))
	require.Equal(t, []string{placed.field("id")}, w.sagas())
	golden(t, "order_accepted", placed)

	require.NoError(t, w.complete(t.Context(), placed.field("id")))
	shown := w.do("GET", placed.header.Get("Location"), "", bearer)
	require.Equal(t, http.StatusOK, shown.status)
	golden(t, "order_completed", shown)

	require.Equal(t, http.StatusNoContent, w.do("DELETE", "/v1/sessions/current", "", bearer).status)
	requireProblem(t, w.do("GET", "/v1/users/me", "", bearer), 401, "no_session")

	require.NotContains(t, w.log.String(), session.field("token"))
	require.NotContains(t, w.log.String(), "horse")
	require.Regexp(t, `msg=request method=GET route=/v1/orders/:id status=200 .*order_id=`+placed.field("id"), w.log.String())
	scraped := w.do("GET", "/metrics", "")
	require.Contains(t, scraped.body, `orderly_http_requests_total{method="POST",route="/v1/orders",status="202"} 1`)
	require.Contains(t, scraped.body, `orderly_http_request_duration_seconds_count{method="POST",route="/v1/orders"} 1`)
}

// Clocks of different processes may disagree; what one service said first still comes first.
func TestTheTimelineIsInTheOrderThingsHappened(t *testing.T) {
	t.Parallel()
	at := func(source string, sequence int64, seconds int) events.Event {
		return events.Event{
			Type: source + ".happened.v1", Source: source, Sequence: sequence, Time: today.Add(time.Duration(seconds) * time.Second),
			Data: json.RawMessage(`{}`),
		}
	}
	w := setup(t, func(w *world) {
		w.cfg.Timeline = func(context.Context, string) ([]events.Event, error) {
			return []events.Event{at("payments", 2, 2), at("orders", 2, 9), at("payments", 1, 3), at("inventory", 1, 1), at("orders", 1, 0)}, nil
		}
	})
	token := w.token("ada")
	placed := w.place(token, "key-1", twoMugs)
	shown := w.do("GET", placed.header.Get("Location"), "", "Authorization: Bearer "+token)
	var order struct {
		Timeline []struct {
			Source   string
			Sequence int
		}
	}
	require.NoError(t, json.Unmarshal([]byte(shown.body), &order))
	require.Equal(t, "[{orders 1} {inventory 1} {payments 1} {payments 2} {orders 2}]", fmt.Sprint(order.Timeline))
}

func TestWhatANeighbourDoesNotSayIsLeftOut(t *testing.T) {
	t.Parallel()
	w := setup(t, func(w *world) {
		w.cfg.Mails = func(context.Context, string) ([]notifications.Sent, error) { return nil, errDown }
	})
	token := w.token("ada")
	placed := w.place(token, "key-1", twoMugs)
	shown := w.do("GET", placed.header.Get("Location"), "", "Authorization: Bearer "+token)
	require.Equal(t, http.StatusOK, shown.status)
	require.Contains(t, shown.body, `"timeline":[{`)
	require.NotContains(t, shown.body, `"mails"`)

	require.NoError(t, w.stock.Close())
	listed := w.do("GET", "/v1/products", "")
	require.Equal(t, http.StatusOK, listed.status)
	require.Contains(t, listed.body, `"sku":"MUG-EUR"`)
	require.NotContains(t, listed.body, "available")
}

func TestRequestsNobodyHasARouteFor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	golden(t, "problem", w.do("GET", "/v1/nothing", ""))
	requireProblem(t, w.do("GET", "/v1/orders/", ""), 404, "route_not_found")
	refused := w.do("PUT", "/v1/orders", "")
	requireProblem(t, refused, 405, "method_not_allowed")
	require.Equal(t, "GET, HEAD, POST, OPTIONS", refused.header.Get("Allow"))
	requireProblem(t, w.do("BREW", "/v1/pots/5555555555554444", ""), 404, "route_not_found")
	require.NotContains(t, w.log.String(), "5555555555554444")
	require.Contains(t, w.do("GET", "/metrics", "").body, `orderly_http_requests_total{method="other",route="unmatched",status="404"} 1`)
}

func TestARequestIDIsTakenOrMade(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.Equal(t, "request-1", w.do("GET", "/healthz", "").header.Get("X-Request-ID"))
	made := w.do("GET", "/healthz", "", "X-Request-Id: ", "X-Request-Id: two words").header.Get("X-Request-ID")
	require.Regexp(t, anyID, made)
	require.Regexp(t, anyID, w.do("GET", "/healthz", "", "X-Request-Id: request-2").header.Get("X-Request-ID"), "of two ids neither is taken")
}

// The document is read line by line: paths have an indent of two, their methods one of four.
func TestTheDocumentHasExactlyTheRoutesThereAre(t *testing.T) {
	t.Parallel()
	w := setup(t)
	served := w.do("GET", "/openapi.yaml", "")
	require.Equal(t, "application/yaml", served.header.Get("Content-Type"))
	_, paths, found := strings.Cut(served.body, "\npaths:\n")
	require.True(t, found)
	paths, _, _ = strings.Cut(paths, "\nsecurity:")

	var documented []string
	path := ""
	for line := range strings.SplitSeq(paths, "\n") {
		if m := regexp.MustCompile(`^  (/\S*):$`).FindStringSubmatch(line); m != nil {
			path = regexp.MustCompile(`\{(\w+)\}`).ReplaceAllString(m[1], ":$1")
		}
		if m := regexp.MustCompile(`^    (get|put|post|delete|patch|head|options):$`).FindStringSubmatch(line); m != nil {
			documented = append(documented, strings.ToUpper(m[1])+" "+path)
		}
	}
	require.ElementsMatch(t, api.New(api.Config{}).Routes(), documented)
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	t.Run("ready", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		r := w.do("GET", "/readyz", "")
		require.Equal(t, http.StatusOK, r.status)
		golden(t, "readyz", r)
		require.Equal(t, "ok", w.do("GET", "/healthz", "").field("status"))
	})
	t.Run("degraded without Redis, and sessions still work", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		token := w.token("ada")
		w.redis.Close()
		r := w.do("GET", "/readyz", "")
		require.Equal(t, http.StatusOK, r.status)
		require.Equal(t, "degraded", r.field("status"))
		require.Contains(t, r.body, `{"name":"redis","up":false,"required":false}`)
		require.Equal(t, http.StatusOK, w.do("GET", "/v1/users/me", "", "Authorization: Bearer "+token).status)
	})
	t.Run("unavailable without the database", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		require.NoError(t, w.orders.Close())
		r := w.do("GET", "/readyz", "")
		require.Equal(t, http.StatusServiceUnavailable, r.status)
		require.Equal(t, "unavailable", r.field("status"))
		require.Equal(t, "1", r.header.Get("Retry-After"))
		require.Equal(t, http.StatusOK, w.do("GET", "/healthz", "").status)
	})
	t.Run("a check that hangs is down", func(t *testing.T) {
		t.Parallel()
		release := make(chan struct{})
		w := setup(t, func(w *world) {
			w.cfg.Degraded = append(w.cfg.Degraded, api.Check{Name: "temporal", Ping: func(context.Context) error { <-release; return nil }})
		})
		defer close(release)
		require.Contains(t, w.do("GET", "/readyz", "").body, `{"name":"temporal","up":false,"required":false}`)
	})
}
