package temporalstatus_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.com/orderly/internal/temporalstatus"
)

const last = codes.Unauthenticated

// asMet are the ways in which a status reaches a caller of Temporal's client.
func asMet(code codes.Code) []error {
	plain := status.Error(code, "said the server")
	typed := serviceerror.FromStatus(status.New(code, "said the server"))
	return []error{plain, typed, fmt.Errorf("start the saga: %w", typed)}
}

func TestEveryStatusHasOneVerdictHoweverItIsMet(t *testing.T) {
	t.Parallel()
	for code := codes.Canceled; code <= last; code++ {
		for _, err := range asMet(code) {
			v := temporalstatus.Judge(err)
			require.NotEmpty(t, v.Means, "%s as %T", code, err)
			require.NotEmpty(t, v.Why, "%s as %T", code, err)
			require.Equal(t, temporalstatus.Judge(asMet(code)[0]), v, "%s as %T", code, err)
		}
	}
	require.Equal(t, temporalstatus.Passes, temporalstatus.Judge(context.DeadlineExceeded).Means)
	require.Equal(t, temporalstatus.Ours, temporalstatus.Judge(serviceerror.NewNotFound("no such workflow")).Means)
	require.Equal(t, temporalstatus.Person, temporalstatus.Judge(serviceerror.NewNamespaceNotFound("orders")).Means)
}

// What operations.md says is what the table says.
func TestOperationsShowsTheTable(t *testing.T) {
	t.Parallel()
	names := map[temporalstatus.Means][]string{}
	for code := codes.Canceled; code <= last; code++ {
		v := temporalstatus.Judge(status.Error(code, ""))
		names[v.Means] = append(names[v.Means], code.String())
	}
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	for _, means := range []temporalstatus.Means{temporalstatus.Passes, temporalstatus.Person, temporalstatus.Ours} {
		if row := fmt.Sprintf("| *%s* | %s", means, strings.Join(names[means], " ")); !strings.Contains(string(text), row) {
			t.Errorf("docs/operations.md lacks this row: %s", row)
		}
	}
}
