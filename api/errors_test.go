package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/api"
	"example.com/orderly/internal/fault"
)

func TestEachKindOfFailureHasAStatus(t *testing.T) {
	t.Parallel()
	statuses := map[fault.Kind]int{
		fault.Invalid: http.StatusUnprocessableEntity, fault.Unauthenticated: http.StatusUnauthorized,
		fault.NotFound: http.StatusNotFound, fault.Conflict: http.StatusConflict, fault.Declined: http.StatusConflict,
		fault.Limited:     http.StatusTooManyRequests,
		fault.Unavailable: http.StatusServiceUnavailable, fault.Internal: http.StatusInternalServerError,
	}
	for _, kind := range fault.Kinds() {
		want, known := statuses[kind]
		require.True(t, known, "the status of %s is not said", kind)
		require.Equal(t, want, api.StatusOf(kind), kind)
	}
	require.Equal(t, http.StatusInternalServerError, api.StatusOf("new_kind"), "a kind without a status is a defect of ours")
}
