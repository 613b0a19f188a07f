package reasons_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/reasons"
)

// noReason are the codes of final failures that end no order, with where they are met instead.
var noReason = map[string]string{
	"idempotency_key_invalid": "placing", "idempotency_key_reused": "placing", "payment_method_invalid": "placing", "too_many_lines": "placing",
	"invalid_sku": "placing", "too_many_open_orders": "placing", "amount_overflow": "placing",
	"no_change": "counting stock by hand", "stock_reserved": "counting stock by hand",
}

// computed are the codes that stand in the source as an expression, with whose they are.
var computed = map[string]string{
	`reason`: "the provider's", `reason(e)`: "the provider's", `fault.CodeOf(outcome)`: "that of a final refusal, met elsewhere",
	`row.Code`: "that of a recorded no", `"refund_" + string(refund.Status)`: "of an undo, which is retried",
}

// The final failures of services and sagas become the reasons of orders. One that the table does not name would be told as a decline.
func TestTheTableNamesEveryCodeOfOurs(t *testing.T) {
	t.Parallel()
	found := 0
	for _, folder := range append(askedBySagas(t), "payments/stripe", "step", "../activities", "../workflows") {
		source := read(t, filepath.Join("..", folder))
		for _, code := range source.finalCodes() {
			if text, isText := source.text(code); !isText {
				require.NotEmpty(t, computed[types.ExprString(code)], "%s: whose code is %s?", folder, types.ExprString(code))
			} else if noReason[text] == "" {
				found++
				require.True(t, reasons.Known(text), "%s: say in internal/reasons what customers are told of %s", folder, text)
			}
		}
		for name, value := range source.consts {
			if code, isText := source.text(value); isText && (strings.HasPrefix(name, "Code") || name == "reasonCancelled") {
				require.True(t, reasons.Known(code), "%s: say in internal/reasons what customers are told of %s", folder, code)
			}
		}
	}
	require.Greater(t, found, 20, "the walk does not find the codes any more")
}

// askedBySagas are the services that have activities.
func askedBySagas(t *testing.T) (services []string) {
	t.Helper()
	const internal = `"example.com/orderly/internal/`
	paths, err := filepath.Glob("../../activities/*.go")
	require.NoError(t, err)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, imported := range file.Imports {
			name, ours := strings.CutPrefix(strings.TrimSuffix(imported.Path.Value, `"`), internal)
			if _, err := os.Stat(filepath.Join("..", name, "migrations")); ours && err == nil && !slices.Contains(services, name) {
				services = append(services, name)
			}
		}
	}
	require.Subset(t, services, []string{"orders", "inventory", "payments"})
	return services
}

// source is the code of one package, without its tests.
type source struct {
	files  []*ast.File
	consts map[string]ast.Expr
}

func read(t *testing.T, folder string) source {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	s := source{consts: map[string]ast.Expr{}}
	for _, entry := range entries {
		if name := entry.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, name), nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			s.files = append(s.files, file)
		}
	}
	s.each(func(n ast.Node) {
		if spec, is := n.(*ast.ValueSpec); is && len(spec.Values) == len(spec.Names) {
			for i, name := range spec.Names {
				s.consts[name.Name] = spec.Values[i]
			}
		}
	})
	require.NotEmpty(t, s.files)
	return s
}

func (s source) each(do func(n ast.Node)) {
	for _, file := range s.files {
		ast.Inspect(file, func(n ast.Node) bool { do(n); return true })
	}
}

// finalCodes are the second arguments of fault.New with a kind that is not tried again.
func (s source) finalCodes() (codes []ast.Expr) {
	s.each(func(n ast.Node) {
		call, is := n.(*ast.CallExpr)
		if !is || types.ExprString(call.Fun) != "fault.New" {
			return
		}
		switch types.ExprString(call.Args[0]) {
		case "fault.Unavailable", "fault.Internal":
			return
		}
		if constant, is := call.Args[1].(*ast.SelectorExpr); is && strings.HasPrefix(constant.Sel.Name, "Code") {
			return // a constant of another package, whose own walk finds it
		}
		codes = append(codes, call.Args[1])
	})
	return codes
}

// text is the value of a literal, or of a constant of this package.
func (s source) text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.Ident:
		value, known := s.consts[e.Name]
		if !known {
			return "", false
		}
		return s.text(value)
	}
	return "", false
}
