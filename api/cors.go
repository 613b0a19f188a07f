package api

import (
	"net/http"
	"slices"
)

// What pages of other origins may send and read, beside what browsers allow to every page (Fetch standard, "CORS protocol"). Sessions are
// tokens in a header and never cookies, so that Access-Control-Allow-Credentials is not needed.
const (
	corsSent = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, X-Request-ID"
	corsRead = "ETag, Idempotency-Replayed, Link, Location, Preference-Applied, RateLimit, RateLimit-Policy, " +
		"Retry-After, WWW-Authenticate, X-Request-ID"
	// corsKept is how long a browser may keep the answer to a preflight, in seconds; Chromium's longest is 7200.
	corsKept = "600"
)

// share lets pages of the origins that the settings name read the answer. An answer without Access-Control-Allow-Origin is kept from a
// page by its browser; it says nothing to any other client.
func (a *API) share(given http.Header, asked *http.Request) {
	if len(a.cfg.CORSOrigins) == 0 {
		return
	}
	given.Add("Vary", "Origin") // also to a client that sends none: a cache must not give its answer to a page
	origin := asked.Header.Get("Origin")
	if origin == "" || !slices.Contains(a.cfg.CORSOrigins, origin) {
		return
	}
	given.Set("Access-Control-Allow-Origin", origin)
	if asked.Method == http.MethodOptions && asked.Header.Get("Access-Control-Request-Method") != "" {
		if allow := given.Get("Allow"); allow != "" {
			given.Set("Access-Control-Allow-Methods", allow)
		}
		given.Set("Access-Control-Allow-Headers", corsSent)
		given.Set("Access-Control-Max-Age", corsKept)
		return
	}
	given.Set("Access-Control-Expose-Headers", corsRead)
}
