package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/money"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/paymenttoken"
)

// requireClean checks that an error is the client's, and that it repeats no card number.
func requireClean(t *testing.T, err error, statuses ...int) {
	t.Helper()
	f := failureOf(t.Context(), err)
	require.Contains(t, statuses, f.status, "%v", err)
	require.NotEmpty(t, f.code)
	require.False(t, paymenttoken.HoldsCardNumber(f.detail), "%s", f.detail)
	require.Less(t, len(f.detail), 500)
}

type fuzzedOrder struct {
	Lines         []orders.Wanted `json:"lines"`
	PaymentMethod string          `json:"payment_method"`
}

// What is taken has one reading: the standard library reads the same if it reads it, and writing it and reading it again changes nothing.
func FuzzBody(f *testing.F) {
	for _, body := range []string{
		`{"lines":[{"sku":"MUG","quantity":2}],"payment_method":"pm_card_visa"}`, `{}`, `null`, ``, `[`, `{"lines":null}`,
		`{"lines":[{"sku":"\ud800","quantity":1e3}]}`, `{"lines":[],"lines":[]}`, `{"LINES":[]}`, "\ufeff{}", `{"payment_method":"\u0000"}`,
		`{"lines":[{"quantity":9223372036854775808}]}`, `{"5555555555554444":1}`, `{"lines":[{"sku":"a","quantity":1.0}]} x`,
		`{"lines":[{"sku":"a","quantity":1.50e1}],"payment_method":"b"}`, `{"lines":[{"sku":"a","quantity":1e999999999}],"payment_method":"b"}`,
		`{"lines":[{"sku":"a","quantity":-0.0E-99}],"payment_method":"b"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got fuzzedOrder
		if err := decodeBody(body, &got); err != nil {
			requireClean(t, err, http.StatusBadRequest, http.StatusRequestEntityTooLarge)
			return
		}
		var plain fuzzedOrder
		if json.Unmarshal(body, &plain) == nil { // it takes no 1.0 for a whole number
			require.Equal(t, plain, got)
		}
		written, err := json.Marshal(got)
		require.NoError(t, err)
		if got.Lines == nil {
			return // written as null, which is refused
		}
		var again fuzzedOrder
		require.NoError(t, decodeBody(written, &again))
		require.Equal(t, got, again)
	})
}

func decodeBody(body []byte, into any) error {
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
	c.Request.Header.Set("Content-Type", "application/json")
	return decode(c, into)
}

// A bare key is taken as it is, a quoted one is what a quoting client meant.
func FuzzIdempotencyKey(f *testing.F) {
	for _, value := range []string{"key-1", `"key-1"`, `"a\"b\\c"`, `"`, `""`, `"a"b"`, `"a\c"`, "", " ", `a"`, `"\`} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		key, err := idempotencyKey(http.Header{"Idempotency-Key": {value}})
		if err != nil {
			requireClean(t, err, http.StatusBadRequest, http.StatusUnprocessableEntity)
		} else if !strings.HasPrefix(value, `"`) {
			require.Equal(t, value, key)
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
		key, err = idempotencyKey(http.Header{"Idempotency-Key": {quoted}})
		require.NoError(t, err)
		require.Equal(t, value, key)
		// Both forms meet the same rule afterwards.
		err = orders.Placement{IdempotencyKey: key, PaymentMethod: "pm_card_visa"}.CheckForm()
		require.True(t, err == nil || fault.CodeOf(err) == "idempotency_key_invalid")
	})
}

func FuzzPrefer(f *testing.F) {
	for _, value := range []string{"wait=10", `wait="10"`, "respond-async, wait=5; x", "WAIT = 3", "wait=-1", "wait=99999999999999999999", "wait", ",;=", "wait=+7"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		wait := preferredWait(http.Header{"Prefer": {value}})
		require.GreaterOrEqual(t, wait, time.Duration(0))
		require.LessOrEqual(t, wait, longestWait)
		require.Zero(t, wait%time.Second)
		if !strings.Contains(strings.ToLower(value), "wait") {
			require.Zero(t, wait)
		}
	})
}

const fuzzedCustomer = "01900000-0000-7000-8000-000000000000"

// What is taken is a query that the orders service can run, and its next page belongs to it.
func FuzzListQuery(f *testing.F) {
	for _, query := range []string{
		"", "limit=5", "state=pending&state=completed", "created_after=2026-03-01T12:00:00Z&created_before=2026-03-01T13:00:00.1234567%2B01:00",
		"cursor=AQ", "limit=1;state=x", "%zz", "created_after=0000-01-01T00:00:00Z", "created_before=9999-12-31T23:59:59.9999999-23:59", "a=1&a=2",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, rawQuery string) {
		q, err := queryOf(rawQuery, fuzzedCustomer)
		if err != nil {
			requireClean(t, err, http.StatusBadRequest)
			return
		}
		require.Equal(t, fuzzedCustomer, q.CustomerID)
		require.True(t, q.Limit >= 1 && q.Limit <= orders.MaxPage)
		for _, state := range q.States {
			require.Contains(t, orders.States(), state)
		}
		for _, at := range []time.Time{q.From, q.Until, q.After.At} {
			require.True(t, at.IsZero() || at.Year() >= 1970 && at.Year() <= 10_000, "%v", at)
			require.True(t, at.IsZero() || at.Nanosecond()%1000 == 0, "%v", at)
		}
		given, err := url.ParseQuery(rawQuery)
		require.NoError(t, err)
		last := orders.Order{ID: fuzzedCustomer, CreatedAt: time.Date(2026, 3, 1, 12, 0, 0, 1000, time.UTC), Total: money.Money{}}
		given.Set("cursor", cursorAfter(q, last))
		next, err := queryOf(given.Encode(), fuzzedCustomer)
		require.NoError(t, err)
		require.Equal(t, last.Position(), next.After)
		next.After = q.After
		require.Equal(t, q, next)
	})
}

// A cursor is refused, or is the one text for a position that a database can be asked about.
func FuzzCursor(f *testing.F) {
	q := orders.Query{CustomerID: fuzzedCustomer, States: []orders.State{orders.Pending}}
	f.Add(cursorAfter(q, orders.Order{ID: fuzzedCustomer, CreatedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}))
	f.Add(cursorAfter(orders.Query{}, orders.Order{ID: fuzzedCustomer, CreatedAt: time.Unix(0, 0)}))
	f.Add("")
	f.Add("AQ")
	f.Add(strings.Repeat("_", 44))
	f.Add(cursorAfter(q, orders.Order{ID: fuzzedCustomer, CreatedAt: time.Unix(1, 0)}) + "\n")
	f.Fuzz(func(t *testing.T, cursor string) {
		at, err := positionOf(q, cursor)
		if err != nil {
			requireClean(t, err, http.StatusBadRequest)
			require.True(t, errors.Is(err, errGarbledCursor) || errors.Is(err, errOtherCursor))
			return
		}
		require.True(t, at.At.Year() >= 1970 && at.At.Year() <= 9999)
		parsed, err := uuid.Parse(at.ID)
		require.NoError(t, err)
		require.Equal(t, at.ID, parsed.String())
		require.Equal(t, cursor, cursorAfter(q, orders.Order{ID: at.ID, CreatedAt: at.At}))
	})
}

// Any bytes in the place of a position and an id, under the digest that a client could make itself.
func FuzzForgedCursor(f *testing.F) {
	q := orders.Query{CustomerID: fuzzedCustomer}
	f.Add(make([]byte, 25))
	f.Add(append([]byte{cursorVersion}, slices.Repeat([]byte{0xff}, 24)...))
	f.Add(append([]byte{cursorVersion}, slices.Repeat([]byte{0x7f}, 24)...))
	f.Fuzz(func(t *testing.T, head []byte) {
		at, err := positionOf(q, cursorText.EncodeToString(append(slices.Clone(head), listOf(q)...)))
		if err != nil {
			requireClean(t, err, http.StatusBadRequest)
			return
		}
		require.Len(t, head, 25)
		require.True(t, at.At.Year() >= 1970 && at.At.Year() <= 9999)
	})
}
