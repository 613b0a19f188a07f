package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/orders"
)

// orderPage is one page of a list.
type orderPage struct {
	Orders []struct {
		ID    string
		State string
	}
	NextCursor string `json:"next_cursor"`
}

func (w *world) list(token, query string) (orderPage, reply) {
	w.t.Helper()
	r := w.do("GET", "/v1/orders"+query, "", "Authorization: Bearer "+token)
	require.Equal(w.t, http.StatusOK, r.status, r.body)
	var page orderPage
	require.NoError(w.t, json.Unmarshal([]byte(r.body), &page))
	return page, r
}

func (p orderPage) ids() []string {
	ids := make([]string, len(p.Orders))
	for i, order := range p.Orders {
		ids[i] = order.ID
	}
	return ids
}

// placeAt places orders whose times are these, and returns their ids, newest first.
func (w *world) placeAt(token string, times ...time.Time) []string {
	w.t.Helper()
	ids := make([]string, len(times))
	for i, at := range times {
		placed := w.place(token, fmt.Sprint("key-", i), twoMugs)
		require.Equal(w.t, http.StatusAccepted, placed.status, placed.body)
		ids[len(times)-1-i] = placed.field("id")
		_, err := w.orders.Exec(w.t.Context(), `UPDATE orders SET created_at = ? WHERE id = ?`, database.At(at), placed.field("id"))
		require.NoError(w.t, err)
	}
	return ids
}

var anyCursor = regexp.MustCompile(`"next_cursor": "[^"]+"`)

func TestACustomerListsTheirOrders(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada, bob := w.token("ada"), w.token("bob")
	empty := w.do("GET", "/v1/orders", "", "Authorization: Bearer "+ada)
	require.Equal(t, http.StatusOK, empty.status)
	require.JSONEq(t, `{"orders":[]}`, empty.body)
	require.Empty(t, empty.header.Get("Link"))

	ids := w.placeAt(ada, today, today, today, today.Add(time.Second)) // three at one time
	require.NoError(t, w.complete(t.Context(), ids[1]))
	w.placeAt(bob, today)

	first, answered := w.list(ada, "?limit=2")
	masked := anyCursor.ReplaceAllString(answered.body, `"next_cursor": "<cursor>"`)
	require.NoError(t, json.Unmarshal([]byte(answered.body), &first))
	masked = strings.ReplaceAll(masked, first.NextCursor, "<cursor>")
	golden(t, "orders", reply{body: masked})
	require.Equal(t, ids[:2], first.ids())
	for i, id := range first.ids() {
		shown := w.do("GET", "/v1/orders/"+id, "", "Authorization: Bearer "+ada)
		var order, item map[string]any
		require.NoError(t, json.Unmarshal([]byte(shown.body), &order))
		var items struct{ Orders []map[string]any }
		require.NoError(t, json.Unmarshal([]byte(answered.body), &items))
		item = items.Orders[i]
		delete(order, "timeline")
		delete(order, "mails")
		require.Equal(t, order, item, "a list shows an order as its own address does, without what happened to it")
	}

	// The Link of a page leads to the next one, from the address that the page was asked at.
	walked := first.ids()
	at, err := url.Parse("/v1/orders?limit=2")
	require.NoError(t, err)
	for link := answered.header.Get("Link"); link != ""; {
		target, isNext := strings.CutSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
		require.True(t, isNext, link)
		at, err = at.Parse(target)
		require.NoError(t, err)
		require.Equal(t, "/v1/orders", at.Path)
		page, r := w.list(ada, "?"+at.RawQuery)
		require.Equal(t, page.NextCursor != "", r.header.Get("Link") != "")
		walked, link = append(walked, page.ids()...), r.header.Get("Link")
	}
	require.Equal(t, ids, walked)

	next, _ := w.list(ada, "?limit=100&cursor="+first.NextCursor) // a page may have another length
	require.Equal(t, ids[2:], next.ids())

	theirs, _ := w.list(bob, "")
	require.Len(t, theirs.Orders, 1)
	require.NotContains(t, ids, theirs.Orders[0].ID)
	requireProblem(t, w.do("GET", "/v1/orders", ""), http.StatusUnauthorized, "no_session")
}

func TestAListIsFiltered(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada := w.token("ada")
	ids := w.placeAt(ada, today, today.Add(time.Microsecond), today.Add(time.Hour))
	require.NoError(t, w.complete(t.Context(), ids[0]))
	for query, want := range map[string][]string{
		"?state=completed": ids[:1],
		"?state=pending":   ids[1:],
		"?state=pending&state=completed&state=pending": ids,
		"?state=rejected":                                                                              {},
		"?created_after=2026-03-01T12:00:00Z":                                                          ids,
		"?created_after=2026-03-01T12:00:00.000001Z":                                                   ids[:2],
		"?created_after=2026-03-01T12:00:00.0000001Z":                                                  ids[:2], // finer than an order's time
		"?created_after=2026-03-01T13:00:00%2B01:00":                                                   ids,
		"?created_before=2026-03-01T12:00:00Z":                                                         {},
		"?created_before=2026-03-01T12:00:00.0000001Z":                                                 ids[2:],
		"?created_before=2026-03-01T12:00:00.000001Z":                                                  ids[2:],
		"?created_after=0001-01-01T00:00:00Z":                                                          ids,
		"?created_before=0001-01-01T00:00:00Z":                                                         {},
		"?created_before=9999-12-31T23:59:59.9999999Z":                                                 ids,
		"?created_after=9999-12-31T23:59:59.9999999Z":                                                  {},
		"?created_after=0000-01-01T00:00:00%2B23:59&limit=100":                                         ids,
		"?created_after=2026-03-01T12:00:00.000001Z&created_before=2026-03-01T13:00:00Z&state=pending": ids[1:2],
	} {
		page, _ := w.list(ada, query)
		require.Equal(t, want, page.ids(), query)
		require.Empty(t, page.NextCursor, query)
	}
	page, _ := w.list(ada, "")
	for _, order := range page.Orders {
		require.Contains(t, orders.States(), orders.State(order.State))
	}
}

func TestAListRefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada := w.token("ada")
	for query, want := range map[string]string{
		"?status=pending":             "unknown_parameter there is no parameter \"status\"",
		"?State=pending":              "unknown_parameter there is no parameter \"State\"",
		"?5555555555554444=1":         "unknown_parameter there is no parameter of that name",
		"?state=":                     "invalid_parameter state is one of pending confirmed completed",
		"?state":                      "invalid_parameter state is one of",
		"?state=pending,completed":    "invalid_parameter state is one of",
		"?limit=0":                    "invalid_parameter limit is a whole number from 1 to 100",
		"?limit=101":                  "invalid_parameter limit",
		"?limit=-1":                   "invalid_parameter limit",
		"?limit=2.0":                  "invalid_parameter limit",
		"?limit=":                     "invalid_parameter limit",
		"?limit=99999999999999999999": "invalid_parameter limit",
		"?limit=1&limit=2":            "duplicate_parameter the parameter limit",
		"?cursor=a&cursor=b":          "duplicate_parameter the parameter cursor",
		"?created_after=yesterday":    "invalid_parameter created_after is a time as in RFC 3339",
		"?created_after=2026-03-01T13:00:00+01:00": "invalid_parameter created_after is a time as in RFC 3339, such as 2026-03-01T12:00:00Z; the + of an offset is written %2B",
		"?created_before=2026-03-01":               "invalid_parameter created_before",
		"?created_before=":                         "invalid_parameter created_before",
		"?limit=1;state=pending":                   "malformed_query the query can't be read",
		"?state=%zz":                               "malformed_query the query can't be read",
		"?cursor=":                                 "invalid_cursor the cursor is not one of ours",
		"?cursor=%00":                              "invalid_cursor the cursor is not one of ours",
	} {
		refused := w.do("GET", "/v1/orders"+query, "", "Authorization: Bearer "+ada)
		code, detail, _ := strings.Cut(want, " ")
		requireProblem(t, refused, http.StatusBadRequest, code)
		require.Contains(t, refused.field("detail"), detail, query)
		require.NotContains(t, refused.body, "5555555555554444")
	}
}

func TestACursorBelongsToItsList(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada, bob := w.token("ada"), w.token("bob")
	w.placeAt(ada, today, today.Add(time.Second), today.Add(time.Minute))
	w.placeAt(bob, today)
	page, _ := w.list(ada, "?state=pending&state=completed&limit=1")
	same, _ := w.list(ada, "?state=completed&state=pending&limit=2&cursor="+page.NextCursor)
	require.Len(t, same.Orders, 2)
	for query, token := range map[string]string{
		"?state=pending&state=completed": bob, "?state=pending": ada, "?": ada, "?state=pending&state=completed&created_after=2026-01-01T00:00:00Z": ada,
		"?state=pending&state=completed&created_before=2027-01-01T00:00:00Z": ada,
	} {
		refused := w.do("GET", "/v1/orders"+query+"&cursor="+page.NextCursor, "", "Authorization: Bearer "+token)
		requireProblem(t, refused, http.StatusBadRequest, "invalid_cursor")
		require.Contains(t, refused.field("detail"), "belongs to another list")
	}

	// Each byte changed: refused, or another place in the same list, and never a failure of ours.
	raw, err := base64.RawURLEncoding.DecodeString(page.NextCursor)
	require.NoError(t, err)
	all, _ := w.list(ada, "")
	for i := range raw {
		forged := slices.Clone(raw)
		forged[i] ^= 0xff
		r := w.do("GET", "/v1/orders?state=pending&state=completed&cursor="+base64.RawURLEncoding.EncodeToString(forged), "", "Authorization: Bearer "+ada)
		if r.status != http.StatusOK {
			requireProblem(t, r, http.StatusBadRequest, "invalid_cursor")
			continue
		}
		var shown orderPage
		require.NoError(t, json.Unmarshal([]byte(r.body), &shown))
		require.Subset(t, all.ids(), shown.ids())
	}
	for _, garbled := range []string{page.NextCursor + "A", page.NextCursor[1:], page.NextCursor + "=", page.NextCursor[:8] + "%0A" + page.NextCursor[8:], strings.ToLower(page.NextCursor), "next"} {
		refused := w.do("GET", "/v1/orders?state=pending&state=completed&cursor="+garbled, "", "Authorization: Bearer "+ada)
		requireProblem(t, refused, http.StatusBadRequest, "invalid_cursor")
	}
}
