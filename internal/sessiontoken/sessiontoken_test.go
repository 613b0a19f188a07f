package sessiontoken_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/sessiontoken"
)

func FuzzToken(f *testing.F) {
	f.Add(sessiontoken.New())
	f.Add(strings.Repeat("A", 42) + "B")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		if !sessiontoken.WellFormed(token) {
			return
		}
		raw, err := base64.RawURLEncoding.DecodeString(token)
		require.NoError(t, err)
		require.Len(t, raw, sessiontoken.Bytes)
		require.Equal(t, token, base64.RawURLEncoding.EncodeToString(raw), "one session has one token")
	})
}
