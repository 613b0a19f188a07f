package api_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/api"
	"example.com/orderly/internal/limit"
	"example.com/orderly/internal/source"
	"example.com/orderly/internal/users"
)

// limitedWorld is the API within limits, behind a proxy that tells where requests come from. Its time stands still.
func limitedWorld(t *testing.T, limits api.Limits) *world {
	t.Helper()
	return setup(t, func(w *world) {
		var err error
		w.cfg.TrustedProxies, err = source.ParseNetworks("127.0.0.1")
		require.NoError(t, err)
		w.cfg.Limits = limits
		w.cfg.Limiter = limit.New(limit.Options{Now: now})
	})
}

func from(address string) string { return "X-Forwarded-For: " + address }

func (w *world) login(email, password, address string) reply {
	w.t.Helper()
	return w.do("POST", "/v1/sessions", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password), from(address))
}

const rightPassword = "correct horse battery"

func (w *world) registered(name string) (id string) {
	w.t.Helper()
	profile, err := w.cache.Register(w.t.Context(), users.Registration{Email: name + "@example.com", Name: name, Password: rightPassword})
	require.NoError(w.t, err)
	return profile.ID
}

// requireLimited checks a refusal by a limit, and that it is counted and logged.
func (w *world) requireLimited(r reply, name, address string, rate limit.Rate) {
	w.t.Helper()
	requireProblem(w.t, r, http.StatusTooManyRequests, "too_many_"+name)
	wait, err := strconv.Atoi(r.header.Get("Retry-After"))
	require.NoError(w.t, err)
	require.InDelta(w.t, rate.Per.Seconds()/float64(rate.Burst), wait, 1)
	require.Contains(w.t, r.header.Values("RateLimit-Policy"), fmt.Sprintf(`"%s";q=%d;w=%d`, name, rate.Burst, int(rate.Per.Seconds())))
	require.Contains(w.t, r.header.Values("RateLimit"), fmt.Sprintf(`"%s";r=0;t=%d`, name, wait))
	require.Regexp(w.t, `status=429 .*source=`+regexp.QuoteMeta(address)+` .*code=too_many_`+name+` limit=`+name, w.log.String())
	require.Contains(w.t, w.do("GET", "/metrics", "").body, `orderly_limits_hit_total{limit="`+name+`"} 1`)
}

var two = limit.Rate{Burst: 2, Per: 10 * time.Minute}

func TestEachLimitIsKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits api.Limits
		ask    func(w *world, n int, address string) reply
		status int
		// byCustomer says that another source is refused, too.
		byCustomer bool
	}{
		"requests": {api.Limits{Requests: two}, func(w *world, n int, address string) reply {
			return w.do("GET", []string{"/v1/products", "/v1/nothing", "/openapi.yaml"}[n%3], "", from(address))
		}, 0, false},
		"logins": {api.Limits{Logins: two}, func(w *world, n int, address string) reply {
			return w.login("ada@example.com", []string{rightPassword, "wrong horse battery", rightPassword}[n%3], address)
		}, 0, false},
		"failed_logins": {api.Limits{FailedLogins: two}, func(w *world, n int, address string) reply {
			return w.login(fmt.Sprintf("unknown%d@example.com", n), "wrong horse battery", address)
		}, http.StatusUnauthorized, false},
		"wrong_passwords": {api.Limits{WrongPasswords: two}, func(w *world, n int, address string) reply {
			return w.login([]string{"ada@example.com", "ADA@example.com", " Ada@Example.com "}[n%3], "wrong horse battery", address)
		}, http.StatusUnauthorized, false},
		"registrations": {api.Limits{Registrations: two}, func(w *world, n int, address string) reply {
			return w.do("POST", "/v1/users", fmt.Sprintf(`{"email":"c%d-%s@example.com","name":"C","password":"correct horse battery"}`, n, address), from(address))
		}, http.StatusCreated, false},
		"orders": {api.Limits{Orders: two}, func(w *world, n int, address string) reply {
			return w.place(w.token("ada"), fmt.Sprintf("key-%d-%s", n, address), twoMugs, from(address))
		}, http.StatusAccepted, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := limitedWorld(t, c.limits)
			w.registered("ada")
			for n := range two.Burst {
				r := c.ask(w, n, "192.0.2.1")
				require.NotEqual(t, http.StatusTooManyRequests, r.status, r.body)
				if c.status != 0 {
					require.Equal(t, c.status, r.status, r.body)
				}
				require.Equal(t, fmt.Sprintf(`"%s";r=%d;t=%d`, name, 1-n, 300*(n+1)), r.header.Get("RateLimit"))
			}
			w.requireLimited(c.ask(w, 2, "192.0.2.1"), name, "192.0.2.1", two)
			other := c.ask(w, 0, "192.0.2.2")
			require.Equal(t, c.byCustomer, other.status == http.StatusTooManyRequests, other.body)
			require.NotContains(t, w.log.String(), "@")
			require.NotContains(t, w.log.String(), "horse")
			for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
				require.Equal(t, http.StatusOK, w.do("GET", path, "", from("192.0.2.1")).status)
			}
		})
	}
}

// Guessing at an account shuts it neither for its owner elsewhere nor for the owner at the same address once a password was right, and right
// passwords use up nothing that failed ones are counted by.
func TestAnAccountThatIsGuessedAtStaysOpen(t *testing.T) {
	t.Parallel()
	w := limitedWorld(t, api.Limits{FailedLogins: limit.Rate{Burst: 5, Per: time.Hour}, WrongPasswords: two})
	id := w.registered("ada")
	for n := range 20 {
		guess := w.login("ada@example.com", "wrong horse battery", fmt.Sprintf("198.51.100.%d", n%4))
		require.Contains(t, []int{http.StatusUnauthorized, http.StatusTooManyRequests}, guess.status)
		if n == 8 {
			require.Equal(t, "too_many_wrong_passwords", guess.field("code"))
		}
	}
	require.Regexp(t, `route=/v1/sessions status=401 .*source=198.51.100.0 account_id=`+id+` code=wrong_credentials`, w.log.String())
	for range 10 {
		require.Equal(t, http.StatusCreated, w.login("ada@example.com", rightPassword, "192.0.2.1").status)
	}
	require.Equal(t, http.StatusTooManyRequests, w.login("ada@example.com", rightPassword, "198.51.100.0").status)
	require.Regexp(t, `route=/v1/sessions status=201 .*source=192.0.2.1 account_id=`+id, w.log.String())
	require.NotContains(t, w.log.String(), "ada@")
	metrics := w.do("GET", "/metrics", "").body
	for result, count := range map[string]int{"right": 10, "wrong": 8, "limited": 13, "busy": 0, "failed": 0} {
		require.Contains(t, metrics, fmt.Sprintf("orderly_logins_total{result=%q} %d\n", result, count))
	}
}

// Guesses that come at once are counted before it is known that they are wrong.
func TestGuessesAtOnceDoNotPassTheLimit(t *testing.T) {
	t.Parallel()
	w := limitedWorld(t, api.Limits{WrongPasswords: two})
	w.registered("ada")
	answers := make(chan int, 20)
	var all sync.WaitGroup
	for range cap(answers) {
		all.Go(func() {
			answers <- w.try("POST", "/v1/sessions", `{"email":"ada@example.com","password":"wrong horse battery"}`, from("192.0.2.1")).status
		})
	}
	all.Wait()
	close(answers)
	count := map[int]int{}
	for status := range answers {
		count[status]++
	}
	require.Equal(t, map[int]int{http.StatusUnauthorized: 2, http.StatusTooManyRequests: 18}, count)
}

// What is limited says nothing about which accounts there are: the same answers to the byte, headers included, and the same statements.
func TestLimitsDoNotTellWhoHasAnAccount(t *testing.T) {
	t.Parallel()
	w := limitedWorld(t, api.Limits{
		Logins: limit.Rate{Burst: 100, Per: time.Hour}, FailedLogins: limit.Rate{Burst: 50, Per: time.Hour}, WrongPasswords: two,
	})
	w.registered("ada")
	type seen struct {
		status     int
		body       string
		headers    string
		statements int64
	}
	guess := func(email, address string) (all []seen) {
		for range 4 {
			before := w.people.Statements()
			r := w.login(email, "wrong horse battery", address)
			r.header.Del("Date")
			all = append(all, seen{r.status, r.body, fmt.Sprint(r.header), w.people.Statements() - before})
		}
		return all
	}
	known, unknown := guess("ada@example.com", "192.0.2.1"), guess("bob@example.com", "192.0.2.2")
	require.Equal(t, known, unknown)
	require.Equal(t, http.StatusTooManyRequests, known[3].status)
}

func TestARepeatedOrderIsNotCounted(t *testing.T) {
	t.Parallel()
	w := limitedWorld(t, api.Limits{Orders: two})
	token := w.token("ada")
	require.Equal(t, http.StatusAccepted, w.place(token, "key-1", twoMugs).status)
	for range 5 {
		require.Equal(t, "true", w.place(token, "key-1", twoMugs).header.Get("Idempotency-Replayed"))
	}
	require.Equal(t, http.StatusAccepted, w.place(token, "key-2", twoMugs).status)
	requireProblem(t, w.place(token, "key-3", twoMugs), http.StatusTooManyRequests, "too_many_orders")
	require.Equal(t, "true", w.place(token, "key-2", twoMugs).header.Get("Idempotency-Replayed"))
}

// Equal requests that come at once are one order, and are counted as one.
func TestEqualOrdersAtOnceAreCountedOnce(t *testing.T) {
	t.Parallel()
	w := limitedWorld(t, api.Limits{Orders: limit.Rate{Burst: 30, Per: time.Hour}})
	token := w.token("ada")
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			w.try("POST", "/v1/orders", twoMugs, "Authorization: Bearer "+token, "Idempotency-Key: key-1")
		})
	}
	all.Wait()
	require.Len(t, w.sagas(), 1)
	require.Contains(t, w.place(token, "key-2", twoMugs).header.Get("RateLimit"), `"orders";r=28;`)
}

func TestOpenOrdersAreLimited(t *testing.T) {
	t.Parallel()
	exempt, err := source.ParseNetworks("192.0.2.15")
	require.NoError(t, err)
	w := limitedWorld(t, api.Limits{OpenOrders: 2, Exempt: exempt})
	token := w.token("ada")
	first := w.place(token, "key-1", twoMugs)
	require.Equal(t, http.StatusAccepted, first.status)
	require.Equal(t, http.StatusAccepted, w.place(token, "key-2", twoMugs).status)
	refused := w.place(token, "key-3", twoMugs, from("192.0.2.1"))
	requireProblem(t, refused, http.StatusTooManyRequests, "too_many_open_orders")
	require.Equal(t, "10", refused.header.Get("Retry-After"))
	require.Len(t, w.sagas(), 2)
	require.Regexp(t, `status=429 .*source=192.0.2.1 .*limit=open_orders`, w.log.String())
	require.Contains(t, w.do("GET", "/metrics", "").body, `orderly_limits_hit_total{limit="open_orders"} 1`)
	require.Equal(t, "true", w.place(token, "key-1", twoMugs).header.Get("Idempotency-Replayed"))
	require.NoError(t, w.complete(t.Context(), first.field("id")))
	require.Equal(t, http.StatusAccepted, w.place(token, "key-3", twoMugs).status, "a refusal has used up the key")
	require.Equal(t, http.StatusAccepted, w.place(token, "key-4", twoMugs, from("192.0.2.15")).status)
}

func TestExemptSourcesMeetNoLimit(t *testing.T) {
	t.Parallel()
	exempt, err := source.ParseNetworks("192.0.2.0/28")
	require.NoError(t, err)
	w := limitedWorld(t, api.Limits{Requests: two, FailedLogins: two, Exempt: exempt})
	for range 5 {
		r := w.login("ada@example.com", "wrong horse battery", "192.0.2.15")
		require.Equal(t, http.StatusUnauthorized, r.status)
		require.Empty(t, r.header.Get("RateLimit"))
	}
	for range 2 {
		w.login("ada@example.com", "wrong horse battery", "192.0.2.16")
	}
	require.Equal(t, http.StatusTooManyRequests, w.login("ada@example.com", "wrong horse battery", "192.0.2.16").status)
}

// The log says where a request came from, and believes no header of a stranger.
func TestTheLogNamesTheSource(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.do("GET", "/v1/products", "", from("192.0.2.77"), "Forwarded: for=192.0.2.77")
	require.Contains(t, w.log.String(), "source=127.0.0.1")
	require.NotContains(t, w.log.String(), "192.0.2.77")
	behind := limitedWorld(t, api.Limits{})
	behind.do("GET", "/v1/products", "", from("2001:db8:1:2:3:4:5:6"))
	require.Contains(t, behind.log.String(), "source=2001:db8:1:2::/64")
	require.Equal(t, 1, strings.Count(behind.log.String(), "source="))
}
