package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzIdempotencyKey: a key means the same bare and as the structured-field string that stands for it (RFC 9651, section 3.3.3).
func FuzzIdempotencyKey(f *testing.F) {
	for _, seed := range []string{`key`, `"key"`, `"a\"b\\c"`, `"a`, `"`, `""`, `a"b`, "", `"\`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		key, err := idempotencyKey(http.Header{"Idempotency-Key": {header}})
		if err != nil {
			require.Empty(t, key)
			return
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
		again, err := idempotencyKey(http.Header{"Idempotency-Key": {quoted}})
		require.NoError(t, err)
		require.Equal(t, key, again)
	})
}

// FuzzHeaders: what stands in the other headers that are read makes no handler fail, and means what it may mean.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{"wait=10", `respond-async, wait="3"; x=y`, `W/"abc", "def"`, "*", "application/json; charset=utf-8", "wait=-1", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		wait := preferredWait(http.Header{"Prefer": {value}})
		require.True(t, wait >= 0 && wait <= longestWait && wait%time.Second == 0, "%s", wait)
		require.True(t, hasTag([]string{value, `W/"abc"`}, `"abc"`))
		require.False(t, hasTag([]string{strings.ReplaceAll(value, "*", "")}, `"abc"`) && !strings.Contains(value, "abc"))
		_ = checkContentType(http.Header{"Content-Type": {value}})
		require.NotContains(t, requestID(http.Header{"X-Request-Id": {value}}), "\n")
	})
}
