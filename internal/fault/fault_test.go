package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
)

func TestKindAndCodeSurviveWrapping(t *testing.T) {
	t.Parallel()
	for _, kind := range []fault.Kind{
		fault.Invalid, fault.Unauthenticated, fault.NotFound, fault.Conflict, fault.Declined, fault.Unavailable, fault.Internal,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			err := fmt.Errorf("reserve order o-1: %w", fault.New(kind, "some_code", "sku %s", "A"))
			require.Equal(t, kind, fault.KindOf(err))
			require.Equal(t, "some_code", fault.CodeOf(err))
			require.EqualError(t, err, "reserve order o-1: sku A")
		})
	}
}

func TestUnknownErrorsAreInternalAndNotFinal(t *testing.T) {
	t.Parallel()
	err := errors.New("disk on fire")
	require.Equal(t, fault.Internal, fault.KindOf(err))
	require.Equal(t, "internal", fault.CodeOf(err))
	require.False(t, fault.Final(err))
	require.Equal(t, fault.Kind(""), fault.KindOf(nil))
	require.Empty(t, fault.CodeOf(nil))
}

func TestOnlyAnswersThatCannotChangeAreFinal(t *testing.T) {
	t.Parallel()
	require.True(t, fault.Final(fault.New(fault.Declined, "card_declined", "no")))
	require.False(t, fault.Final(fault.New(fault.Unavailable, "provider_down", "later")))
}
