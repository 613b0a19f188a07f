package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARefusedOrderStoresNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token := w.token("ada")
	require.Equal(t, http.StatusAccepted, w.place(token, "used", twoMugs).status)

	order := func(method string, lines ...string) string {
		return fmt.Sprintf(`{"lines":[%s],"payment_method":%q}`, strings.Join(lines, ","), method)
	}
	line := func(sku string, quantity int) string { return fmt.Sprintf(`{"sku":%q,"quantity":%d}`, sku, quantity) }
	mug := line("MUG-EUR", 1)
	hundredAndOne := strings.Split(strings.Repeat(mug+"\n", 101), "\n")[:101]

	for name, c := range map[string]struct {
		body    string
		key     string
		headers []string
		status  int
		code    string
		detail  string
	}{
		"no session":             {body: twoMugs, headers: []string{"Authorization: "}, status: 401, code: "no_session"},
		"another scheme":         {body: twoMugs, headers: []string{"Authorization: ", "Authorization: Basic YTpi"}, status: 401, code: "no_session"},
		"unknown session":        {body: twoMugs, headers: []string{"Authorization: ", "Authorization: Bearer abc"}, status: 401, code: "no_session"},
		"no key":                 {body: twoMugs, headers: []string{"Idempotency-Key: "}, status: 400, code: "idempotency_key_missing"},
		"half a quoted key":      {body: twoMugs, key: `"abc`, status: 422, code: "idempotency_key_invalid"},
		"a stray quote":          {body: twoMugs, key: `"a"c"`, status: 422, code: "idempotency_key_invalid"},
		"an empty quoted key":    {body: twoMugs, key: `""`, status: 422, code: "idempotency_key_invalid"},
		"a bad escape":           {body: twoMugs, key: `"a\c"`, status: 422, code: "idempotency_key_invalid"},
		"two keys":               {body: twoMugs, headers: []string{"Idempotency-Key: b"}, status: 422, code: "idempotency_key_invalid"},
		"a key too long":         {body: twoMugs, key: strings.Repeat("k", 256), status: 422, code: "idempotency_key_invalid"},
		"key of another body":    {body: order("pm_card_visa", mug), key: "used", status: 422, code: "idempotency_key_reused"},
		"no content type":        {body: twoMugs, headers: []string{"Content-Type: "}, status: 415, code: "unsupported_media_type"},
		"a form":                 {body: "a=b", headers: []string{"Content-Type: application/x-www-form-urlencoded"}, status: 415, code: "unsupported_media_type"},
		"compressed":             {body: twoMugs, headers: []string{"Content-Encoding: gzip"}, status: 415, code: "unsupported_media_type"},
		"no body":                {body: " ", status: 400, code: "malformed_json", detail: "empty"},
		"malformed JSON":         {body: "{\"lines\":\n [},", status: 400, code: "malformed_json", detail: "line 2, column 3"},
		"half of it":             {body: `{"lines":[`, status: 400, code: "malformed_json", detail: "breaks off at line 1, column 11"},
		"not UTF-8":              {body: "{\"payment_method\":\"\xff\"}", status: 400, code: "malformed_json"},
		"a NUL":                  {body: order("pm_card_visa", `{"sku":"\u0000","quantity":1}`), status: 400, code: "malformed_json", detail: "/lines/0/sku"},
		"trailing data":          {body: twoMugs + "{}", status: 400, code: "trailing_data"},
		"unknown field":          {body: `{"coupon":"x","lines":[]}`, status: 400, code: "unknown_field", detail: `"coupon"`},
		"unknown field inside":   {body: `{"lines":[{"sku":"MUG-EUR","price":1}]}`, status: 400, code: "unknown_field", detail: `"price" at /lines/0`},
		"another case":           {body: `{"Lines":[]}`, status: 400, code: "unknown_field", detail: `"Lines"`},
		"a field twice":          {body: order("pm_card_visa", `{"sku":"MUG-EUR","quantity":1,"quantity":9}`), status: 400, code: "duplicate_field", detail: `"quantity"`},
		"quantity as text":       {body: order("pm_card_visa", `{"sku":"MUG-EUR","quantity":"1"}`), status: 400, code: "wrong_type", detail: "/lines/0/quantity"},
		"half a mug":             {body: order("pm_card_visa", `{"sku":"MUG-EUR","quantity":0.5}`), status: 400, code: "wrong_type", detail: "whole number"},
		"null":                   {body: `null`, status: 400, code: "wrong_type", detail: "an object"},
		"a list":                 {body: `[]`, status: 400, code: "wrong_type", detail: "an object"},
		"over 64 KiB":            {body: order("pm_card_visa", line(strings.Repeat("x", 64<<10), 1)), status: 413, code: "body_too_large"},
		"no lines":               {body: order("pm_card_visa"), status: 422, code: "no_lines"},
		"101 lines":              {body: order("pm_card_visa", hundredAndOne...), status: 422, code: "too_many_lines"},
		"quantity 0":             {body: order("pm_card_visa", line("MUG-EUR", 0)), status: 422, code: "invalid_quantity"},
		"quantity below 0":       {body: order("pm_card_visa", line("MUG-EUR", -1)), status: 422, code: "invalid_quantity"},
		"quantity 10,001":        {body: order("pm_card_visa", line("MUG-EUR", 10_001)), status: 422, code: "invalid_quantity"},
		"no quantity":            {body: order("pm_card_visa", `{"sku":"MUG-EUR"}`), status: 400, code: "missing_field", detail: "/lines/0/quantity"},
		"a huge quantity":        {body: order("pm_card_visa", `{"sku":"MUG-EUR","quantity":1e999999999}`), status: 400, code: "wrong_type"},
		"no SKU":                 {body: order("pm_card_visa", line("", 1)), status: 422, code: "invalid_sku"},
		"a SKU of 201":           {body: order("pm_card_visa", line(strings.Repeat("é", 201), 1)), status: 422, code: "invalid_sku"},
		"a line break in a SKU":  {body: order("pm_card_visa", mug, `{"sku":"MUG\nEUR","quantity":1}`), status: 422, code: "invalid_sku", detail: "line 2"},
		"half a character":       {body: order("pm_card_visa", `{"sku":"\ud800","quantity":1}`), status: 400, code: "lone_surrogate", detail: "line 1, column 19"},
		"unknown SKU":            {body: order("pm_card_visa", line("PIANO", 1)), status: 422, code: "unknown_sku"},
		"second SKU unknown":     {body: order("pm_card_visa", mug, line("PIANO", 1)), status: 422, code: "unknown_sku", detail: "line 2"},
		"mixed currencies":       {body: order("pm_card_visa", mug, line("TEA-USD", 1)), status: 422, code: "mixed_currencies"},
		"a line that overflows":  {body: order("pm_card_visa", line("YACHT-EUR", 11)), status: 422, code: "amount_overflow"},
		"a sum that overflows":   {body: order("pm_card_visa", line("YACHT-EUR", 10), line("YACHT-EUR", 10)), status: 422, code: "amount_overflow"},
		"no payment method":      {body: `{"lines":[` + mug + `]}`, status: 400, code: "missing_field", detail: "/payment_method"},
		"a card number":          {body: order("4242424242424242", mug), status: 422, code: "payment_method_invalid"},
		"a card number as token": {body: order("pm_4242_4242_4242_4242", mug), status: 422, code: "payment_method_invalid"},
		"unknown method":         {body: order("pm_nobody_knows", mug), status: 422, code: "unknown_payment_method"},
	} {
		// One after the other, so that a row too many has one culprit.
		t.Run(name, func(t *testing.T) {
			before := rows(t, w.orders)
			key := strings.ReplaceAll(name, " ", "-")
			if c.key != "" {
				key = c.key
			}
			headers := []string{"Authorization: Bearer " + token, "Idempotency-Key: " + key}
			r := w.try("POST", "/v1/orders", c.body, append(headers, c.headers...)...)
			require.NoError(t, r.err)
			requireProblem(t, r, c.status, c.code)
			require.Contains(t, r.field("detail"), c.detail)
			require.Equal(t, before, rows(t, w.orders))
		})
	}
	require.Len(t, w.sagas(), 1)
}

func TestACardNumberIsNeitherTakenNorRepeated(t *testing.T) {
	t.Parallel()
	for _, method := range []string{
		`"4242424242424242"`, `"4242 4242 4242 4242"`, `"4242-4242-4242-4242"`, `4242424242424242`, `"pm_4242424242424242"`,
		`"pm_4242_4242_4242_4242"`, `["4242424242424242"]`, `"x", "4242424242424242": 1`,
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			token := w.token("ada")
			before := rows(t, w.orders)
			r := w.place(token, "key-1", `{"lines":[{"sku":"MUG-EUR","quantity":1}],"payment_method":`+method+`}`)
			require.GreaterOrEqual(t, r.status, 400)
			require.Less(t, r.status, 500)
			require.NotContains(t, r.body, "4242")
			require.NotContains(t, w.log.String(), "4242")
			require.Equal(t, before, rows(t, w.orders))
		})
	}
}

func TestSomebodyElsesOrderIsUnknown(t *testing.T) {
	t.Parallel()
	w := setup(t)
	placed := w.place(w.token("ada"), "key-1", twoMugs)
	bob := "Authorization: Bearer " + w.token("bob")
	theirs := w.do("GET", placed.header.Get("Location"), "", bob)
	requireProblem(t, theirs, 404, "order_not_found")
	nobodys := w.do("GET", "/v1/orders/019557e5-0000-7000-8000-000000000000", "", bob)
	requireProblem(t, nobodys, 404, "order_not_found")
	require.Equal(t, strings.ReplaceAll(theirs.body, placed.field("id"), "019557e5-0000-7000-8000-000000000000"), nobodys.body)
	card := w.do("GET", "/v1/orders/4242424242424242", "", bob)
	requireProblem(t, card, 404, "order_not_found")
	require.NotContains(t, card.body, "4242")
	requireProblem(t, w.do("GET", "/v1/orders/a%00b", "", bob), 404, "order_not_found")
	requireProblem(t, w.do("GET", placed.header.Get("Location"), ""), 401, "no_session")
}
