package paymenttoken_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/paymenttoken"
)

// A token that is taken can stand in a path, a header, a log line and a form as it is, and has no 13 digits in a row.
func FuzzValid(f *testing.F) {
	for _, token := range []string{"pm_card_visa", "pm_4242424242424242", "pm_4242_4242_4242_4242", "", "pm_", "pm_card_visa\n", "4242 4242-4242_4242"} {
		f.Add(token)
	}
	separators := strings.NewReplacer("_", "", "-", "", " ", "")
	digits := regexp.MustCompile(`[0-9]{13}`)
	f.Fuzz(func(t *testing.T, token string) {
		if paymenttoken.HoldsCardNumber(token) {
			require.False(t, paymenttoken.Valid(token))
			require.True(t, digits.MatchString(separators.Replace(token)))
		} else {
			require.False(t, digits.MatchString(token))
		}
		if !paymenttoken.Valid(token) {
			return
		}
		require.LessOrEqual(t, len(token), 91)
		for _, r := range token {
			require.True(t, r < unicode.MaxASCII && (r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)), "%q", r)
		}
		require.False(t, paymenttoken.Valid("4242424242424"+token))
	})
}
