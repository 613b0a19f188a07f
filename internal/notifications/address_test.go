package notifications_test

import (
	"errors"
	"net/mail"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/notifications"
)

func TestWhomMailsComeFrom(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]mail.Address{
		"shop@example.com":                       {Address: "shop@example.com"},
		"Mug & Ink <shop@example.com>":           {Name: "Mug & Ink", Address: "shop@example.com"},
		"Bücher <shop@bücher.example>":           {Name: "Bücher", Address: "shop@xn--bcher-kva.example"},
		"shop@BÜCHER.example":                    {Address: "shop@xn--bcher-kva.example"},
		"shop@xn--bcher-kva.example":             {Address: "shop@xn--bcher-kva.example"},
		"shop@例え。テスト":                            {Address: "shop@xn--r8jz45g.xn--zckzah"},
		"shop@[192.0.2.1]":                       {Address: "shop@[192.0.2.1]"},
		`"the shop"@example.com`:                 {Address: "the shop@example.com"},
		"=?utf-8?q?B=C3=BCcher?= <shop@mail.de>": {Name: "Bücher", Address: "shop@mail.de"},
	} {
		got, err := notifications.ParseFrom(from)
		require.NoError(t, err, from)
		require.Equal(t, want, got)
	}
	for from, want := range map[string]string{
		"":                          "mails cannot come from",
		"shop":                      `mails cannot come from "shop"`,
		"läden@example.com":         "what stands before the @ must be ASCII",
		"läden@bücher.example":      "what stands before the @ must be ASCII",
		"shop@bü_cher.example":      "the domain is none",
		"shop@\u200dbücher.example": "the domain is none",
	} {
		_, err := notifications.ParseFrom(from)
		require.ErrorContains(t, err, want, from)
	}
}

func TestACustomerWithAnInternationalAddress(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	for email, want := range map[string]string{
		"ada@bücher.example":          "ada@xn--bcher-kva.example",
		"ada@xn--bcher-kva.example":   "ada@xn--bcher-kva.example",
		"ada@EXAMPLE.com":             "ada@EXAMPLE.com",
		"äda@bücher.example":          "äda@xn--bcher-kva.example", // takes SMTPUTF8, which the server is asked for
		"ada_b+c@under_score.example": "ada_b+c@under_score.example",
	} {
		w.customers["ada"] = notifications.Address{Email: email}
		require.Equal(t, want, w.compose(completed("o-1", "ada")).To.Address)
	}
	w.customers["ada"] = notifications.Address{Email: "ada@bü_cher.example"}
	var got kept
	_, err := w.service(&got).Listener().Effect(t.Context(), completed("o-1", "ada"))
	require.EqualError(t, errors.Unwrap(err), "write the mail about event orders/o-1/1: the customer's address is not one that can be written to")
	require.Empty(t, got)
}
