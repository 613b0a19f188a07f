package paymenttoken_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/paymenttoken"
)

func TestValid(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]bool{
		"pm_card_visa":                     true,
		"pm_1NxB2c3D4e5F6g7H8i9J0k1L":      true,
		"card_1NxB2c3D4e5F":                true,
		"pm_" + strings.Repeat("a", 80):    true,
		"pm_" + strings.Repeat("a", 81):    false,
		"pm_":                              false,
		"":                                 false,
		"pm":                               false,
		"PM_card_visa":                     false,
		"pm_card visa":                     false,
		"pm_card_visa\n":                   false,
		"pm_cärd":                          false,
		"pm_/v1/refunds":                   false,
		"4242424242424242":                 false,
		"pm_4242424242424242":              false,
		"pm_4242_4242_4242_4242":           false,
		"pm_card_4242424242424_visa":       false,
		"pm_424242424242":                  true,
		"pm_a1b2c3d4e5f6a1b2c3d4e5f6a1b2c": true,
	} {
		require.Equal(t, want, paymenttoken.Valid(token), "%q", token)
	}
}

func TestHoldsCardNumber(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"4242424242424242": true, "4242 4242 4242 4242": true, "4242-4242-4242-4242": true, "4242_4242_4242_4242": true,
		"number 3782 822463 10005, please": true, "4222222222222": true,
		"424242424242": false, "4242  4242  4242  4242": false, "2026-11-29": false, "": false,
	} {
		require.Equal(t, want, paymenttoken.HoldsCardNumber(text), "%q", text)
	}
}
