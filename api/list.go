package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/orderly/internal/orders"
)

// defaultPage is how many orders a page has where limit is not given.
const defaultPage = 20

// listOrders lists the orders of the customer. It refuses parameters that it does not know: a filter that is misspelt would show orders that it
// should have left out.
func (a *API) listOrders(c *gin.Context, who login) error {
	query, err := queryOf(c.Request.URL.RawQuery, who.userID)
	if err != nil {
		return err
	}
	page, more, err := a.cfg.Orders.List(c.Request.Context(), query)
	if err != nil {
		return err
	}
	body := struct {
		Orders     []orderBody `json:"orders"`
		NextCursor string      `json:"next_cursor,omitempty"`
	}{Orders: make([]orderBody, len(page))}
	for i, order := range page {
		body.Orders[i] = orderOf(order)
	}
	if more {
		body.NextCursor = cursorAfter(query, page[len(page)-1])
		next := c.Request.URL.Query()
		next.Set("cursor", body.NextCursor)
		// Relative to the request's own address (RFC 3986, section 5.2.2), so that it is right behind any proxy.
		c.Header("Link", "<?"+next.Encode()+`>; rel="next"`)
	}
	return answerKept(c, keptAndAsked, body)
}

// queryOf reads the parameters of a list of this customer's orders.
func queryOf(rawQuery, customerID string) (orders.Query, error) {
	query := orders.Query{CustomerID: customerID, Limit: defaultPage}
	given, err := url.ParseQuery(rawQuery)
	if err != nil {
		return query, &refusal{http.StatusBadRequest, "malformed_query",
			"the query can't be read: it is name=value&name=value, with what is special percent-encoded and no semicolon"}
	}
	for name := range given {
		if !slices.Contains([]string{"state", "created_after", "created_before", "limit", "cursor"}, name) {
			return query, &refusal{http.StatusBadRequest, "unknown_parameter",
				"there is no parameter " + shown(name) + ": there are state, created_after, created_before, limit and cursor"}
		}
		if len(given[name]) > 1 && name != "state" {
			return query, &refusal{http.StatusBadRequest, "duplicate_parameter", "the parameter " + name + " is given more than once; only state may be"}
		}
	}
	if query.States, err = statesOf(given["state"]); err != nil {
		return query, err
	}
	if query.From, err = timeOf(given, "created_after"); err != nil {
		return query, err
	}
	if query.Until, err = timeOf(given, "created_before"); err != nil {
		return query, err
	}
	if given.Has("limit") {
		limit, err := strconv.ParseUint(given.Get("limit"), 10, 16)
		if err != nil || limit < 1 || limit > orders.MaxPage {
			return query, invalidParameter("limit is a whole number from 1 to %d", orders.MaxPage)
		}
		query.Limit = int(limit)
	}
	if given.Has("cursor") {
		query.After, err = positionOf(query, given.Get("cursor"))
	}
	return query, err
}

// invalidParameter says how a parameter should be, and never quotes it.
func invalidParameter(detail string, args ...any) error {
	return &refusal{http.StatusBadRequest, "invalid_parameter", fmt.Sprintf(detail, args...)}
}

func statesOf(names []string) (states []orders.State, err error) {
	known := orders.States()
	for _, name := range names {
		state := orders.State(name)
		if !slices.Contains(known, state) {
			return nil, invalidParameter("state is one of %s, and is repeated for more than one", strings.Trim(fmt.Sprint(known), "[]"))
		}
		if !slices.Contains(states, state) {
			states = append(states, state)
		}
	}
	return states, nil
}

// earliest stands for all times before it: no order was placed then, and the zero time is no time to a database.
var earliest = time.Unix(0, 0).UTC()

// timeOf reads a time, rounded up to the microseconds that orders have: an order is at or after the one exactly where it is at or after the other.
func timeOf(given url.Values, name string) (time.Time, error) {
	if !given.Has(name) {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, given.Get(name))
	if err != nil {
		return time.Time{}, invalidParameter("%s is a time as in RFC 3339, such as 2026-03-01T12:00:00Z; the + of an offset is written %%2B", name)
	}
	at = at.UTC()
	if whole := at.Truncate(time.Microsecond); whole.Before(at) {
		at = whole.Add(time.Microsecond)
	}
	if at.Before(earliest) {
		return earliest, nil
	}
	return at, nil
}
