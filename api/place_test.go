package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/payments"
)

var errDown = errors.New("it is down")

func TestOneKeyIsOneOrder(t *testing.T) {
	t.Parallel()
	t.Run("a repeated request gives the same order, at the old price", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		token := w.token("ada")
		first := w.place(token, "key-1", twoMugs)
		require.Empty(t, first.header.Get("Idempotency-Replayed"))
		_, err := w.orders.Exec(t.Context(), `UPDATE prices SET price_minor = 9 WHERE sku = 'MUG-EUR'`)
		require.NoError(t, err)
		before := rows(t, w.orders)

		again := w.place(token, `"key-1"`, ` {"payment_method":"pm_card_visa", "lines":[{"quantity":2,"sku":"MUG-EUR"}]}`)
		require.Equal(t, http.StatusAccepted, again.status)
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
		require.Equal(t, first.header.Get("Location"), again.header.Get("Location"))
		require.Equal(t, first.body, again.body)
		require.Equal(t, before, rows(t, w.orders))
		require.Len(t, w.sagas(), 1)
	})
	t.Run("twenty at once are one order and one saga", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		token := w.token("ada")
		replies := make([]reply, 20)
		var all sync.WaitGroup
		for i := range replies {
			all.Go(func() {
				replies[i] = w.try("POST", "/v1/orders", twoMugs, "Authorization: Bearer "+token, "Idempotency-Key: key-1")
			})
		}
		all.Wait()
		replayed := 0
		for _, r := range replies {
			require.NoError(t, r.err)
			require.Equal(t, http.StatusAccepted, r.status, r.body)
			require.Equal(t, replies[0].body, r.body)
			if r.header.Get("Idempotency-Replayed") == "true" {
				replayed++
			}
		}
		require.Equal(t, 19, replayed)
		require.Equal(t, []string{replies[0].field("id")}, w.sagas())
		require.Equal(t, 1, rows(t, w.orders)["orders"])
	})
	t.Run("another customer's equal key is another order", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		ada, bob := w.place(w.token("ada"), "key-1", twoMugs), w.place(w.token("bob"), "key-1", twoMugs)
		require.Equal(t, http.StatusAccepted, bob.status)
		require.NotEqual(t, ada.field("id"), bob.field("id"))
		require.Len(t, w.sagas(), 2)
	})
	t.Run("a repeated request asks no provider", func(t *testing.T) {
		t.Parallel()
		asked := 0
		w := setup(t, func(w *world) { w.cfg.CheckMethod = func(context.Context, string) error { asked++; return nil } })
		token := w.token("ada")
		w.place(token, "key-1", twoMugs)
		w.place(token, "key-1", twoMugs)
		require.Equal(t, 1, asked)
	})
}

func TestAnOrderIsAcceptedThough(t *testing.T) {
	t.Parallel()
	accepted := func(t *testing.T, w *world) {
		t.Helper()
		r := w.place(w.token("ada"), "key-1", twoMugs)
		require.Equal(t, http.StatusAccepted, r.status, r.body)
		require.Equal(t, 1, rows(t, w.orders)["orders"])
		require.Contains(t, w.log.String(), "order_id="+r.field("id"))
	}
	t.Run("its saga does not start", func(t *testing.T) {
		t.Parallel()
		accepted(t, setup(t, func(w *world) { w.cfg.StartSaga = func(context.Context, orders.Order) error { return errDown } }))
	})
	t.Run("Temporal is silent", func(t *testing.T) {
		t.Parallel()
		accepted(t, setup(t, func(w *world) {
			w.cfg.StartSaga = func(ctx context.Context, _ orders.Order) error { <-ctx.Done(); return ctx.Err() }
		}))
	})
	t.Run("the payment provider is silent", func(t *testing.T) {
		t.Parallel()
		release := make(chan struct{})
		silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		t.Cleanup(silent.Close)
		t.Cleanup(func() { close(release) })
		accepted(t, setup(t, func(w *world) { w.cfg.CheckMethod = gateway(t, silent.URL).Method }))
	})
	t.Run("the payment provider is gone", func(t *testing.T) {
		t.Parallel()
		gone := httptest.NewServer(nil)
		gone.Close()
		accepted(t, setup(t, func(w *world) { w.cfg.CheckMethod = gateway(t, gone.URL).Method }))
	})
}

// The saga is started although the client leaves between the commit and the start.
func TestTheSagaStartsThoughTheClientHasLeft(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	outcome := make(chan error, 1)
	w := setup(t, func(w *world) {
		w.cfg.StartSaga = func(ctx context.Context, _ orders.Order) error {
			leave()
			outcome <- ctx.Err()
			return nil
		}
	})
	request := httptest.NewRequestWithContext(ctx, "POST", "/v1/orders", strings.NewReader(twoMugs))
	request.Header.Set("Authorization", "Bearer "+w.token("ada"))
	request.Header.Set("Idempotency-Key", "key-1")
	request.Header.Set("Content-Type", "application/json")
	w.server.Config.Handler.ServeHTTP(httptest.NewRecorder(), request)
	require.NoError(t, <-outcome)
}

// A client that hangs up is no failure of the server, and alerts count those by their 5xx.
func TestAClientThatHangsUpIsNotCountedAsAFailure(t *testing.T) {
	t.Parallel()
	order := func(ctx context.Context, url, token string) *http.Request {
		request := httptest.NewRequestWithContext(ctx, "POST", url+"/v1/orders", strings.NewReader(twoMugs))
		request.RequestURI = "" // it is a client's
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Idempotency-Key", "key-1")
		request.Header.Set("Content-Type", "application/json")
		return request
	}
	for name, c := range map[string]struct {
		fails  func(ctx context.Context) error
		status int
	}{
		"while the provider is asked": {func(ctx context.Context) error {
			return &payments.UnknownOutcome{Call: "look-up of a method", Err: ctx.Err()}
		}, 499},
		"and a driver says so in its own words": {func(context.Context) error { return errors.New("interrupted") }, 499},
		"before it is told no":                  {func(context.Context) error { return fault.New(fault.Invalid, "some_code", "for people") }, 422},
		"while a handler panics":                {func(context.Context) error { panic("secret") }, 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, leave := context.WithCancel(t.Context())
			w := setup(t, func(w *world) {
				w.cfg.CheckMethod = func(ctx context.Context, _ string) error {
					leave()
					<-ctx.Done()
					return c.fails(ctx)
				}
			})
			w.server.Config.Handler.ServeHTTP(httptest.NewRecorder(), order(ctx, "", w.token("ada")))
			require.Contains(t, w.do("GET", "/metrics", "").body,
				fmt.Sprintf(`orderly_http_requests_total{method="POST",route="/v1/orders",status="%d"} 1`, c.status))
			require.Regexp(t, fmt.Sprintf(`route=/v1/orders status=%d `, c.status), w.log.String())
			require.Zero(t, rows(t, w.orders)["orders"])
		})
	}
	t.Run("while its statement waits for the database", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		token := w.token("ada")
		release, stuck, free := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			free <- w.orders.InTx(context.WithoutCancel(t.Context()), func(*database.Tx) error { close(stuck); <-release; return nil })
		}()
		<-stuck
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // the client's own patience
		defer cancel()
		answer, err := w.server.Client().Do(order(ctx, w.server.URL, token))
		if err == nil {
			_ = answer.Body.Close()
		}
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Eventually(t, func() bool { return strings.Contains(w.log.String(), "route=/v1/orders status=499 ") },
			10*time.Second, 5*time.Millisecond)
		close(release)
		require.NoError(t, <-free)
		require.Zero(t, rows(t, w.orders)["orders"])
	})
}

func TestPreferWait(t *testing.T) {
	t.Parallel()
	t.Run("answers with the end when it comes in time", func(t *testing.T) {
		t.Parallel()
		w := setup(t, func(w *world) { w.cfg.AwaitEnd = w.complete })
		token := w.token("ada")
		r := w.place(token, "key-1", twoMugs, "Prefer: respond-async, wait=99")
		require.Equal(t, http.StatusCreated, r.status, r.body)
		require.Equal(t, "completed", r.field("state"))
		require.Equal(t, "wait=30", r.header.Get("Preference-Applied"))
		require.Equal(t, "/v1/orders/"+r.field("id"), r.header.Get("Location"))

		again := w.place(token, "key-1", twoMugs, "Prefer: wait=1")
		require.Equal(t, http.StatusCreated, again.status)
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
		require.Equal(t, r.body, again.body)
		require.Equal(t, http.StatusAccepted, w.place(token, "key-1", twoMugs).status)
	})
	t.Run("answers 202 when it does not, however long after the usual time", func(t *testing.T) {
		t.Parallel()
		w := setup(t, func(w *world) { w.cfg.AnswerWithin = 600 * time.Millisecond })
		r := w.place(w.token("ada"), "key-1", twoMugs, "Prefer: wait=2")
		require.Equal(t, http.StatusAccepted, r.status, r.body)
		require.Equal(t, "pending", r.field("state"))
		require.Empty(t, r.header.Get("Preference-Applied"))
	})
	t.Run("answers 202 when it cannot be awaited, or the wait makes no sense", func(t *testing.T) {
		t.Parallel()
		w := setup(t, func(w *world) { w.cfg.AwaitEnd = func(context.Context, string) error { return errDown } })
		token := w.token("ada")
		for _, wait := range []string{"wait=30", "wait=0", "wait=-1", "wait=soon", "wait", "wait=99999999999999999999"} {
			require.Equal(t, http.StatusAccepted, w.place(token, "key-1", twoMugs, "Prefer: "+wait).status, wait)
		}
	})
	t.Run("ends when the server shuts down", func(t *testing.T) {
		t.Parallel()
		waiting := make(chan struct{})
		w := setup(t, func(w *world) {
			w.cfg.AwaitEnd = func(ctx context.Context, _ string) error { close(waiting); <-ctx.Done(); return ctx.Err() }
		})
		token := w.token("ada")
		answered := make(chan reply, 1)
		go func() {
			answered <- w.try("POST", "/v1/orders", twoMugs, "Authorization: Bearer "+token, "Idempotency-Key: key-1", "Prefer: wait=30")
		}()
		<-waiting
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.NoError(t, w.server.Config.Shutdown(ctx))
		r := <-answered
		require.NoError(t, r.err)
		require.Equal(t, http.StatusAccepted, r.status)
	})
}

func TestEveryRequestIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	quick := func(w *world) { w.cfg.AnswerWithin = time.Second }
	t.Run("503 while the database is stuck, and none of it afterwards", func(t *testing.T) {
		t.Parallel()
		w := setup(t, quick)
		token := w.token("ada")
		release, stuck, free := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			free <- w.orders.InTx(context.WithoutCancel(t.Context()), func(*database.Tx) error { close(stuck); <-release; return nil })
		}()
		<-stuck
		requireProblem(t, w.place(token, "key-1", twoMugs), 503, "database_unavailable")
		close(release)
		require.NoError(t, <-free)
		require.Zero(t, rows(t, w.orders)["orders"])
		require.Equal(t, http.StatusAccepted, w.place(token, "key-1", twoMugs).status)
	})
	t.Run("503 though the handler heeds nothing", func(t *testing.T) {
		t.Parallel()
		release := make(chan struct{})
		w := setup(t, quick, func(w *world) {
			w.cfg.StartSaga = func(context.Context, orders.Order) error { <-release; return nil }
		})
		defer close(release)
		token := w.token("ada")
		r := w.place(token, "key-1", twoMugs)
		requireProblem(t, r, 503, "deadline_exceeded")
		require.Regexp(t, `status=503 .*order_id=`, w.log.String())
		again := w.place(token, "key-1", twoMugs)
		require.Equal(t, http.StatusAccepted, again.status)
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	})
	t.Run("500 without internals when the handler panics", func(t *testing.T) {
		t.Parallel()
		w := setup(t, func(w *world) { w.cfg.CheckMethod = func(context.Context, string) error { panic("secret") } })
		r := w.place(w.token("ada"), "key-1", twoMugs)
		requireProblem(t, r, 500, "internal")
		require.NotContains(t, r.body, "secret")
		require.Equal(t, http.StatusOK, w.do("GET", "/healthz", "").status)
	})
	t.Run("500 without internals for a defect", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		require.NoError(t, w.orders.Close())
		r := w.do("GET", "/v1/products", "")
		requireProblem(t, r, 500, "internal")
		require.NotContains(t, r.body, "database")
		require.Contains(t, w.log.String(), "database is closed")
	})
}
