package api

import (
	"encoding/json"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestWholeNumbers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "-0": 0, "0.0": 0, "0e9": 0, "0.0e-9": 0, "1": 1, "1.0": 1, "1e0": 1, "1E+0": 1, "10e-1": 1, "0.1e1": 1, "100": 100, "1e2": 100,
		"-2.50e1": -25, "9223372036854775807": 9223372036854775807, "-9223372036854775808": -9223372036854775808,
		"9.223372036854775807e18": 9223372036854775807, "1000000000000000000e-18": 1,
	} {
		n, whole := wholeNumber(text)
		require.True(t, whole, text)
		require.Equal(t, want, n, text)
	}
	for _, text := range []string{
		"0.5", "1e-1", "-0.1", "15e-1", "9223372036854775808", "-9223372036854775809", "1e19", "1e999999999999999999999", "1e9223372036854775807",
		"1e-9223372036854775808", "1.5e0",
	} {
		_, whole := wholeNumber(text)
		require.False(t, whole, text)
	}
}

// Two readers of one number agree: ours, and arithmetic.
func FuzzWholeNumbers(f *testing.F) {
	for _, seed := range []string{"1", "1.0", "-2.50e1", "9223372036854775808", "1e19", "10e-1", "0.5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 60 || !json.Valid([]byte(text)) || strings.ContainsAny(text, `"{[ntf `) {
			return
		}
		if _, exponent, found := strings.Cut(strings.ToLower(text), "e"); found && len(exponent) > 4 {
			return // arithmetic would take too long
		}
		exact, ok := new(big.Rat).SetString(strings.TrimSpace(text))
		if !ok {
			return
		}
		n, whole := wholeNumber(strings.TrimSpace(text))
		require.Equal(t, exact.IsInt() && exact.Num().IsInt64(), whole, text)
		if whole {
			require.Equal(t, exact.Num().Int64(), n, text)
		}
	})
}

// FuzzBodies holds what the reader takes against encoding/json.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{
		`{"lines":[{"sku":"MUG","quantity":2}],"payment_method":"pm_card_visa"}`, `{"lines":[],"payment_method":"\ud83d\ude00"}`,
		`{"lines":[{"sku":"\ud800","quantity":1.0}]}`, `{"Lines":null}`, `[]`, `{"lines":[{"quantity":1e0,"sku":"a","sku":"b"}]}`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	type line struct {
		SKU      string `json:"sku"`
		Quantity int64  `json:"quantity"`
	}
	type body struct {
		Lines  []line `json:"lines"`
		Method string `json:"payment_method"`
		Note   string `json:"note,omitzero"`
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		if !utf8.Valid(sent) || !json.Valid(sent) {
			return
		}
		value := []byte(strings.Trim(string(sent), " \t\r\n"))
		lone := loneSurrogate(value)
		var tree any
		require.NoError(t, json.Unmarshal(value, &tree))
		again, err := json.Marshal(tree)
		require.NoError(t, err)
		if lone >= 0 {
			return
		}
		if !strings.Contains(strings.ToLower(string(value)), `\ufffd`) && !strings.ContainsRune(string(value), utf8.RuneError) {
			require.NotContains(t, string(again), string(utf8.RuneError), "encoding/json reads half a pair as U+FFFD")
		}
		plain, err := readShape(value, reflect.TypeFor[body]())
		if err != nil {
			return
		}
		var got body
		require.NoError(t, json.Unmarshal(plain, &got), "what fits the shape can be read: %s", plain)
		require.NotNil(t, got.Lines)
		known, err := readShape(plain, reflect.TypeFor[body]())
		require.NoError(t, err)
		require.Equal(t, plain, known, "what was read is read as it is")
	})
}
