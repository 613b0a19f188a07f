package gatewaytest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/sandbox"
)

// Sandbox is the sandbox provider behind real HTTP.
type Sandbox struct{ URL string }

// NewSandbox opens a sandbox that ends with the test.
func NewSandbox(t *testing.T, cfg sandbox.Config) Sandbox {
	t.Helper()
	cfg.Dir = t.TempDir()
	s, err := sandbox.Open(t.Context(), cfg)
	require.NoError(t, err)
	server := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		require.NoError(t, s.Close()) // first: the server waits for the calls that are held, and this ends them
		server.Close()
	})
	return Sandbox{server.URL}
}

// Send makes a request of the sandbox's own API and decodes the answer into into, unless that is nil.
func (s Sandbox) Send(t *testing.T, method, path, body string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	require.Less(t, res.StatusCode, 300, "%s %s", method, path)
	if into != nil {
		require.NoError(t, json.NewDecoder(res.Body).Decode(into))
	}
}

// Totals sums up the provider's book of an order.
func (s Sandbox) Totals(t *testing.T, orderID string) Totals {
	t.Helper()
	var book []sandbox.Charge
	s.Send(t, http.MethodGet, "/book", "", &book)
	var sum Totals
	for _, c := range book {
		if c.OrderID == orderID {
			sum.Intents++
			sum.Charges += c.Charges
			sum.AuthorizedMinor += c.AuthorizedMinor
			sum.CapturedMinor += c.CapturedMinor
			sum.RefundedMinor += c.RefundedMinor
		}
	}
	return sum
}

type heldCall struct {
	ID    string `json:"id"`
	Taken bool   `json:"taken"`
}

// Hold makes the sandbox hold the next such call of the order, before, during or after its effect, until the hold is deleted by its id;
// taken reports whether the call has come.
func (s Sandbox) Hold(t *testing.T, call Call, orderID, when string) (id string, taken func() bool) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"call": string(call), "order_id": orderID, "when": when})
	require.NoError(t, err)
	var h heldCall
	s.Send(t, http.MethodPost, "/sandbox/holds", string(body), &h)
	return h.ID, func() bool {
		var all []heldCall
		s.Send(t, http.MethodGet, "/sandbox/holds", "", &all)
		for _, other := range all {
			if other.ID == h.ID {
				return other.Taken
			}
		}
		return false
	}
}

// Delay is what Fixture.Delay asks for.
func (s Sandbox) Delay(t *testing.T, call Call, orderID string) (waiting func() bool, arrive func()) {
	before, waiting := s.Hold(t, call, orderID, "before")
	return waiting, func() {
		after, carriedOut := s.Hold(t, call, orderID, "after")
		s.Send(t, http.MethodDelete, "/sandbox/holds/"+before, "", nil)
		require.Eventually(t, carriedOut, 10*time.Second, 5*time.Millisecond)
		s.Send(t, http.MethodDelete, "/sandbox/holds/"+after, "", nil)
	}
}
