package fault_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
)

func TestKindAndCodeSurviveWrapping(t *testing.T) {
	t.Parallel()
	for _, kind := range fault.Kinds() {
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
	final := map[fault.Kind]bool{
		fault.Invalid: true, fault.Unauthenticated: true, fault.NotFound: true, fault.Conflict: true, fault.Declined: true,
		fault.Limited: false, fault.Unavailable: false, fault.Internal: false,
	}
	for _, kind := range fault.Kinds() {
		want, known := final[kind]
		require.True(t, known, "whether %s is final is not said", kind)
		require.Equal(t, want, fault.Final(fault.New(kind, "some_code", "because")), kind)
	}
	require.False(t, fault.Final(fault.New("new_kind", "some_code", "because")), "what is not known may change")
}

// The tables of the edges are tested by Kinds, so no kind may be missing from it.
func TestKindsAreAllKinds(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "fault.go", nil, 0)
	require.NoError(t, err)
	var written []fault.Kind
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Kind" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			written = append(written, fault.Kind(text))
		}
		return true
	})
	require.ElementsMatch(t, written, fault.Kinds())
}
