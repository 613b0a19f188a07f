package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzHeaders: what stands in the other headers that are read makes no handler fail, and means what it may mean.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{`W/"abc", "def"`, "*", "application/json; charset=utf-8", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		require.True(t, hasTag([]string{value, `W/"abc"`}, `"abc"`))
		require.False(t, hasTag([]string{strings.ReplaceAll(value, "*", "")}, `"abc"`) && !strings.Contains(value, "abc"))
		_ = checkContentType(http.Header{"Content-Type": {value}})
		require.NotContains(t, requestID(http.Header{"X-Request-Id": {value}}), "\n")
	})
}
