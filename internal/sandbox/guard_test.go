package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/sandbox"
)

// A page of a site can have a browser send requests here: with its Origin, or by a name of its own that leads to this machine.
func TestPagesOfSitesDoNotReachTheControls(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		addr, host, origin string
		passes             bool
	}{
		"this machine":                       {"127.0.0.1:8090", "127.0.0.1:8090", "", true},
		"this machine by name":               {"127.0.0.1:8090", "localhost:8090", "", true},
		"this machine over IPv6":             {"127.0.0.1:8090", "[::1]:8090", "", true},
		"a page of its own":                  {"127.0.0.1:8090", "localhost:8090", "http://localhost:8090", true},
		"no address given":                   {"", "127.0.0.1:1", "", true},
		"a name that leads here":             {"127.0.0.1:8090", "evil.example:8090", "", false},
		"a name that looks like this one":    {"127.0.0.1:8090", "localhost.evil.example", "", false},
		"an address in a name":               {"127.0.0.1:8090", "127.0.0.1.evil.example", "", false},
		"a name that leads here, as origin":  {"127.0.0.1:8090", "evil.example:8090", "http://evil.example:8090", false},
		"a page of a site":                   {"127.0.0.1:8090", "127.0.0.1:8090", "https://evil.example", false},
		"a page of another port":             {"127.0.0.1:8090", "127.0.0.1:8090", "http://127.0.0.1:3000", false},
		"a page of no origin":                {"127.0.0.1:8090", "127.0.0.1:8090", "null", false},
		"another address":                    {"127.0.0.1:8090", "192.168.1.5:8090", "", false},
		"the address it was started with":    {"192.168.1.5:8090", "192.168.1.5:8090", "", true},
		"the name it was started with":       {"pay.test:8090", "PAY.test.:8090", "", true},
		"everywhere, by address":             {"0.0.0.0:8090", "192.168.1.5:8090", "", true},
		"everywhere, by a container's name":  {"0.0.0.0:8090", "sandbox:8090", "", true},
		"everywhere, by a name that is here": {":8090", "evil.example:8090", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := sandbox.Open(t.Context(), sandbox.Config{Dir: t.TempDir(), Addr: c.addr})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			ask := func(method, path, body string) *httptest.ResponseRecorder {
				request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
				request.Host = c.host
				if c.origin != "" {
					request.Header.Set("Origin", c.origin)
				}
				answer := httptest.NewRecorder()
				s.Handler().ServeHTTP(answer, request)
				return answer
			}
			for _, path := range []string{"/book", "/sandbox/calls", "/sandbox/holds", "/payment_methods"} {
				if answer := ask("GET", path, ""); c.passes {
					require.Equal(t, http.StatusOK, answer.Code, path)
				} else {
					require.Equal(t, http.StatusForbidden, answer.Code, path)
					require.Equal(t, "application/problem+json", answer.Header().Get("Content-Type"))
				}
			}
			require.Equal(t, c.passes, ask("PUT", "/sandbox/outage", `{"mode":"off"}`).Code == http.StatusOK)
			require.Equal(t, http.StatusOK, ask("GET", "/healthz", "").Code, "probes ask by any name")
			require.Equal(t, http.StatusUnauthorized, ask("GET", "/v1/payment_methods/pm_card_visa", "").Code, "the provider's API asks for a key")
		})
	}
}
