package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// raw sends the request as it is written and reads one answer.
func (w *world) raw(request string) reply {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.server.Listener.Addr().String())
	require.NoError(w.t, err)
	defer func() { _ = conn.Close() }()
	return exchange(w.t, conn, request)
}

func exchange(t *testing.T, conn net.Conn, request string) reply {
	t.Helper()
	_, err := io.WriteString(conn, request)
	require.NoError(t, err)
	method, _, _ := strings.Cut(request, " ")
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	if answer.Close {
		answer.Header.Set("Connection", "close")
	}
	return reply{status: answer.StatusCode, header: answer.Header, body: string(body)}
}

func TestHEADSaysWhatGETSays(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token := w.token("ada")
	placed := w.place(token, "key-1", twoMugs)
	for _, path := range []string{
		"/v1/products", "/v1/users/me", placed.header.Get("Location"), "/openapi.yaml", "/healthz", "/readyz", "/problems/no_session",
		"/v1/nothing", "/v1/orders/019557e5-0000-7000-8000-000000000000",
	} {
		get := w.do("GET", path, "", "Authorization: Bearer "+token)
		head := w.do("HEAD", path, "", "Authorization: Bearer "+token)
		require.Equal(t, get.status, head.status, path)
		require.Empty(t, head.body, path)
		get.header.Del("Date")
		head.header.Del("Date")
		require.Equal(t, get.header, head.header, path)
		require.Equal(t, fmt.Sprint(len(get.body)), head.header.Get("Content-Length"), path)
	}
	require.Equal(t, "POST, OPTIONS", w.do("HEAD", "/v1/users", "").header.Get("Allow"))
	require.Contains(t, w.do("GET", "/metrics", "").body, `orderly_http_requests_total{method="HEAD",route="/v1/products",status="200"} 1`)
}

func TestOPTIONSSaysWhatAnAddressHas(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for path, allow := range map[string]string{
		"/v1/orders": "GET, HEAD, POST, OPTIONS", "/v1/users": "POST, OPTIONS", "/v1/products": "GET, HEAD, OPTIONS", "/v1/orders/4": "GET, HEAD, OPTIONS", "/healthz": "GET, HEAD, OPTIONS",
		"/v1/sessions/current": "DELETE, OPTIONS",
	} {
		r := w.do("OPTIONS", path, "")
		require.Equal(t, http.StatusNoContent, r.status, path)
		require.Equal(t, allow, r.header.Get("Allow"), path)
		require.Empty(t, r.header.Get("Access-Control-Allow-Origin"))
	}
	requireProblem(t, w.do("OPTIONS", "/v1/nothing", ""), 404, "route_not_found")
	require.Equal(t, 204, w.raw("OPTIONS * HTTP/1.1\r\nHost: shop\r\n\r\n").status)
	require.Equal(t, 404, w.raw("GET * HTTP/1.1\r\nHost: shop\r\n\r\n").status)
}

// net/http writes these before there is a request for a handler. Each is a problem document all the same.
func TestWhatCannotBeReadIsRefusedWithAProblemDocument(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const host = "Host: shop\r\n"
	for name, c := range map[string]struct {
		request string
		status  int
		code    string
		detail  string
	}{
		"a header too large":          {"GET /healthz HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 40<<10) + "\r\n\r\n", 431, "header_too_large", "16 KiB"},
		"a line too large":            {"GET /" + strings.Repeat("x", 40<<10) + " HTTP/1.1\r\n" + host + "\r\n", 431, "header_too_large", "16 KiB"},
		"no request line":             {"hello\r\n\r\n", 400, "malformed_request", ""},
		"no host":                     {"GET /healthz HTTP/1.1\r\n\r\n", 400, "malformed_request", "missing required Host header"},
		"two hosts":                   {"GET /healthz HTTP/1.1\r\n" + host + host + "\r\n", 400, "malformed_request", ""},
		"a host that is none":         {"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "malformed_request", "malformed Host header"},
		"a header without a name":     {"GET /healthz HTTP/1.1\r\n" + host + ": x\r\n\r\n", 400, "malformed_request", ""},
		"a header that is folded":     {"GET /healthz HTTP/1.1\r\n" + host + "X-Y : x\r\n\r\n", 400, "malformed_request", ""},
		"a control character":         {"GET /healthz HTTP/1.1\r\n" + host + "X: a\x01b\r\n\r\n", 400, "malformed_request", ""},
		"two lengths":                 {"POST /v1/users HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, "malformed_request", ""},
		"a length that is none":       {"POST /v1/users HTTP/1.1\r\n" + host + "Content-Length: x\r\n\r\n", 400, "malformed_request", ""},
		"another transfer encoding":   {"POST /v1/users HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", 501, "transfer_encoding_unsupported", "chunked"},
		"another expectation":         {"POST /v1/users HTTP/1.1\r\n" + host + "Expect: tea\r\nContent-Length: 1\r\n\r\n", 417, "expectation_failed", "100-continue"},
		"another version":             {"GET /healthz HTTP/3.0\r\n" + host + "\r\n", 505, "http_version_unsupported", "HTTP/1.1"},
		"a percent sign without code": {"GET /%zz HTTP/1.1\r\n" + host + "\r\n", 400, "malformed_request", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := w.raw(c.request)
			require.Equal(t, c.status, r.status, r.body)
			require.Equal(t, "application/problem+json", r.header.Get("Content-Type"))
			require.Equal(t, c.code, r.field("code"), r.body)
			require.Equal(t, "/problems/"+c.code, r.field("type"))
			require.Contains(t, r.field("detail"), c.detail)
			require.Regexp(t, anyID, r.field("request_id"))
			require.Equal(t, r.field("request_id"), r.header.Get("X-Request-ID"))
			require.Equal(t, "close", r.header.Get("Connection"))
			require.NotEmpty(t, r.header.Get("Date"))
			require.NotContains(t, r.body, `"instance"`)
			require.Contains(t, w.log.String(), r.field("request_id"))
			require.Empty(t, published().missing("GET", "/", r))
		})
	}
}

// What the program itself answers passes as it is: also on a connection on which a request has been answered, and also where its body looks
// like an answer of net/http.
func TestAnswersOfHandlersPassAsTheyAre(t *testing.T) {
	t.Parallel()
	w := setup(t)
	conn, err := net.Dial("tcp", w.server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	for range 3 {
		require.Equal(t, 404, exchange(t, conn, "GET /nothing HTTP/1.1\r\nHost: shop\r\n\r\n").status)
		require.JSONEq(t, `{"status":"ok"}`, exchange(t, conn, "GET /healthz HTTP/1.1\r\nHost: shop\r\n\r\n").body)
		waited := exchange(t, conn, "POST /v1/sessions HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n")
		require.Equal(t, 100, waited.status)
		require.Equal(t, 400, exchange(t, conn, "{}").status)
	}
	refused := exchange(t, conn, "GET /healthz HTTP/1.1\r\n\r\n")
	require.Equal(t, "malformed_request", refused.field("code"), "a connection that has answered requests still replaces what net/http says")
}

// A filter in front of us sees the path as it was sent.
func TestNothingEncodedIsDecodedIntoARoute(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token := w.token("ada")
	placed := w.place(token, "key-1", twoMugs)
	for _, path := range []string{
		"/%6detrics", "/v1%2Fproducts", "/v1/%70roducts", "/v1/./products", "/v1/x/../products", "//v1/products", "/v1//products", "/v1/products/",
		"/v1/products%20", "/v1/products%00", "/v1/products/.", "/%2e/v1/products", "/V1/products", "/v1/products%3Fa", "/%68ealthz", "/%72eadyz",
		"/v1/products;a=b", "\\v1\\products",
	} {
		r := w.raw("GET " + path + " HTTP/1.1\r\nHost: shop\r\nX-Request-ID: request-1\r\n\r\n")
		if strings.HasPrefix(path, "\\") {
			require.Equal(t, "malformed_request", r.field("code"))
			continue
		}
		requireProblem(t, r, 404, "route_not_found")
	}
	encoded := strings.Replace(placed.header.Get("Location"), "-", "%2D", 1)
	requireProblem(t, w.do("GET", encoded, "", "Authorization: Bearer "+token), 404, "order_not_found")
	require.Equal(t, 200, w.raw("GET http://shop/v1/products HTTP/1.1\r\nHost: shop\r\n\r\n").status, "the absolute form (RFC 9112, section 3.2.2)")
}

func TestAHeaderWithOneValueComesOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	bearer := "Authorization: Bearer " + w.token("ada") + "\r\n"
	for _, headers := range []string{
		bearer + "Authorization: Bearer other\r\n", "Authorization: Bearer other\r\n" + bearer, bearer + bearer,
		bearer + "Content-Type: application/json\r\nContent-Type: text/plain\r\n", bearer + "Origin: https://a.example\r\nOrigin: https://b.example\r\n",
	} {
		r := w.raw("GET /v1/users/me HTTP/1.1\r\nHost: shop\r\nX-Request-ID: request-1\r\n" + headers + "\r\n")
		requireProblem(t, r, 400, "duplicate_header")
		require.NotContains(t, r.body, "other")
	}
	require.Equal(t, 200, w.raw("GET /v1/users/me HTTP/1.1\r\nHost: shop\r\n"+bearer+"\r\n").status)
}

// RFC 6750, section 3.1: only a token that was sent is called invalid.
func TestOnlyATokenThatWasSentIsCalledInvalid(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for header, challenge := range map[string]string{
		"":                             `Bearer realm="orderly"`,
		"Authorization: Bearer":        `Bearer realm="orderly"`,
		"Authorization: Basic YTpi":    `Bearer realm="orderly"`,
		"Authorization: Bearer abc":    `Bearer realm="orderly", error="invalid_token"`,
		"Authorization: bearer abc":    `Bearer realm="orderly", error="invalid_token"`,
		"Authorization: Bearer a b c ": `Bearer realm="orderly", error="invalid_token"`,
	} {
		r := w.do("GET", "/v1/users/me", "", header)
		requireProblem(t, r, 401, "no_session")
		require.Equal(t, challenge, r.header.Get("WWW-Authenticate"), header)
	}
	wrong := w.do("POST", "/v1/sessions", `{"email":"ada@example.com","password":"wrong horse"}`)
	require.Equal(t, `Bearer realm="orderly"`, wrong.header.Get("WWW-Authenticate"))
}

func TestAnswersThatMayBeKept(t *testing.T) {
	t.Parallel()
	w := setup(t)
	bearer := "Authorization: Bearer " + w.token("ada")
	order := w.place(strings.TrimPrefix(bearer, "Authorization: Bearer "), "key-1", twoMugs)
	for path, keep := range map[string]string{
		"/v1/products": "public, max-age=5", order.header.Get("Location"): "private, no-cache", "/openapi.yaml": "public, max-age=300",
		"/problems/busy": "public, max-age=300", "/v1/orders?limit=1": "private, no-cache",
	} {
		first := w.do("GET", path, "", bearer)
		tag := first.header.Get("ETag")
		require.Regexp(t, `^"[^"]+"$`, tag)
		require.Equal(t, keep, first.header.Get("Cache-Control"), path)
		for _, known := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			again := w.do("GET", path, "", bearer, "If-None-Match: "+known)
			require.Equal(t, http.StatusNotModified, again.status, path)
			require.Empty(t, again.body)
			require.Equal(t, tag, again.header.Get("ETag"))
			require.Equal(t, keep, again.header.Get("Cache-Control"))
		}
		require.Equal(t, http.StatusOK, w.do("GET", path, "", bearer, `If-None-Match: "other"`).status)
	}
	before := w.do("GET", order.header.Get("Location"), "", bearer).header.Get("ETag")
	require.NoError(t, w.complete(t.Context(), order.field("id")))
	changed := w.do("GET", order.header.Get("Location"), "", bearer, "If-None-Match: "+before)
	require.Equal(t, http.StatusOK, changed.status)
	require.Equal(t, "completed", changed.field("state"))

	for _, r := range []reply{
		w.do("GET", "/v1/sessions", "", bearer), w.do("GET", "/v1/nothing", ""), w.do("GET", order.header.Get("Location"), ""), order,
	} {
		require.Equal(t, "no-store", r.header.Get("Cache-Control"))
		require.Empty(t, r.header.Get("ETag"))
	}
	requireProblem(t, w.do("GET", order.header.Get("Location"), "", "If-None-Match: *"), 401, "no_session")
}

func TestPagesOfNamedOriginsMayReadAnswers(t *testing.T) {
	t.Parallel()
	const ours, other = "https://shop.example", "https://evil.example"
	w := setup(t, func(w *world) { w.cfg.CORSOrigins = []string{ours, "http://localhost:3000"} })
	token := w.token("ada")
	preflight := w.do("OPTIONS", "/v1/orders", "", "Origin: "+ours, "Access-Control-Request-Method: POST",
		"Access-Control-Request-Headers: authorization,content-type,idempotency-key")
	require.Equal(t, http.StatusNoContent, preflight.status)
	require.Equal(t, ours, preflight.header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "GET, HEAD, POST, OPTIONS", preflight.header.Get("Access-Control-Allow-Methods"))
	for _, name := range []string{"Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Prefer"} {
		require.Contains(t, preflight.header.Get("Access-Control-Allow-Headers"), name)
	}
	require.Equal(t, "600", preflight.header.Get("Access-Control-Max-Age"))
	require.Equal(t, "Origin", preflight.header.Get("Vary"))
	require.Empty(t, preflight.header.Get("Access-Control-Allow-Credentials"))

	placed := w.place(token, "key-1", twoMugs, "Origin: "+ours)
	require.Equal(t, http.StatusAccepted, placed.status)
	require.Equal(t, ours, placed.header.Get("Access-Control-Allow-Origin"))
	for _, name := range []string{"Location", "ETag", "Retry-After", "RateLimit", "X-Request-ID", "Idempotency-Replayed"} {
		require.Contains(t, placed.header.Get("Access-Control-Expose-Headers"), name)
	}
	refused := w.do("GET", "/v1/users/me", "", "Origin: http://localhost:3000")
	requireProblem(t, refused, 401, "no_session")
	require.Equal(t, "http://localhost:3000", refused.header.Get("Access-Control-Allow-Origin"), "a page is to read why")

	for _, origin := range []string{other, "null", "https://shop.example.evil.example", "http://shop.example", "https://SHOP.example", "https://shop.example:8443"} {
		for _, r := range []reply{
			w.do("GET", "/v1/products", "", "Origin: "+origin),
			w.do("OPTIONS", "/v1/orders", "", "Origin: "+origin, "Access-Control-Request-Method: POST"),
		} {
			require.Empty(t, r.header.Get("Access-Control-Allow-Origin"), origin)
			require.Empty(t, r.header.Get("Access-Control-Allow-Methods"), origin)
			require.Equal(t, "Origin", r.header.Get("Vary"))
		}
	}
	require.Equal(t, "Origin", w.do("GET", "/v1/products", "").header.Get("Vary"), "a cache must not give a page what another client was told")

	closed := setup(t).do("GET", "/v1/products", "", "Origin: "+ours)
	require.Empty(t, closed.header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, closed.header.Get("Vary"))
}

func TestBehindAProxyThatCutsOffAPath(t *testing.T) {
	t.Parallel()
	w := setup(t, func(w *world) { w.cfg.PublicURL = "https://shop.example/base" })
	placed := w.place(w.token("ada"), "key-1", twoMugs)
	require.Equal(t, "/base/v1/orders/"+placed.field("id"), placed.header.Get("Location"))
	refused := w.do("GET", "/v1/nothing", "")
	require.Equal(t, "https://shop.example/base/problems/route_not_found", refused.field("type"))
	require.Equal(t, "/base/v1/nothing", refused.field("instance"))
	plain := w.raw("GET / HTTP/1.1\r\n\r\n")
	require.Equal(t, "https://shop.example/base/problems/malformed_request", plain.field("type"))
}

func TestBodiesHaveOneReading(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token := w.token("ada")
	for i, quantity := range []string{"2", "2.0", "2e0", "0.2e1", "20E-1", "2.000"} {
		r := w.place(token, "key-1", `{"lines":[{"sku":"MUG-EUR","quantity":`+quantity+`}],"payment_method":"pm_card_visa"}`)
		require.Equal(t, http.StatusAccepted, r.status, r.body)
		require.Equal(t, i > 0, r.header.Get("Idempotency-Replayed") == "true", "it is the same order, written otherwise")
	}
	for name, c := range map[string]struct{ body, code, detail string }{
		"nothing":            {`{}`, "missing_field", "/email"},
		"no password":        {`{"email":"a@example.com"}`, "missing_field", "/password"},
		"the first half":     {`{"email":"a@example.com","password":"\ud83d horse"}`, "lone_surrogate", "column 38"},
		"the second half":    {`{"email":"a@example.com","password":"\ude00 horse"}`, "lone_surrogate", "column 38"},
		"two first halves":   {`{"email":"a@example.com","password":"\ud83d\ud83d"}`, "lone_surrogate", ""},
		"in the wrong order": {`{"email":"a@example.com","password":"\ude00\ud83d"}`, "lone_surrogate", ""},
		"in a name":          {`{"\ud83d":"a"}`, "lone_surrogate", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := w.do("POST", "/v1/sessions", c.body)
			requireProblem(t, r, 400, c.code)
			require.Contains(t, r.field("detail"), c.detail)
			require.NotContains(t, r.body, "horse")
		})
	}
	for _, whole := range []string{`{"email":"a@example.com","password":"\ud83d\ude00"}`, `{"email":"a@example.com","password":"\\ud83d \u0041"}`} {
		requireProblem(t, w.do("POST", "/v1/sessions", whole), 401, "wrong_credentials")
	}
}

// What a client sent as an SKU comes back at most in part, and never where it could be a card number.
func TestAnUnknownSKUIsNotRepeatedWhole(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token := w.token("ada")
	for _, sku := range []string{strings.Repeat("x", 60_000), strings.Repeat("x", 200), "4242424242424242", "my 4242 4242-4242 4242"} {
		line, err := json.Marshal(sku)
		require.NoError(t, err)
		r := w.place(token, "key-1", `{"lines":[{"sku":`+string(line)+`,"quantity":1}],"payment_method":"pm_card_visa"}`)
		require.Equal(t, 422, r.status, r.body[:min(len(r.body), 200)])
		require.Less(t, len(r.body), 1000)
		require.NotContains(t, r.body, "4242")
		require.NotContains(t, w.log.String(), "4242")
	}
}
