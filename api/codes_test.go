package api_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/api"
	"example.com/orderly/internal/payments"
)

// answering are the packages whose failures the API answers with as they are.
var answering = []string{".", "../internal/orders", "../internal/users", "../internal/password", "../internal/database", "../internal/money"}

// unanswered are codes of these packages that no request gets, each with the reason.
var unanswered = map[string]string{
	"client_closed_request": "the client has left",
	"order_state":           "only sagas move orders",
	"cancel_requested":      "only sagas move orders",
	"negative_amount":       "quantities are checked before, and prices are above zero",
	"unknown_currency":      "product lists are checked when they are added",
	"profile_changed":       "it is answered as precondition_failed",
}

// fromElsewhere are codes that are constants of packages which do much else, too.
var fromElsewhere = map[string]string{"CodeUnknownMethod": payments.CodeUnknownMethod}

// codesOfSource are the codes in the calls of fault.New and in the refusals of a package's files.
func codesOfSource(t *testing.T, dir string) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, paths, dir)
	var files []*ast.File
	constants := map[string]string{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		files = append(files, file)
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Names) == len(spec.Values) {
				for i, name := range spec.Names {
					if text, ok := spec.Values[i].(*ast.BasicLit); ok && text.Kind == token.STRING {
						constants[name.Name], _ = strconv.Unquote(text.Value)
					}
				}
			}
			return true
		})
	}
	codes := map[string]bool{}
	add := func(kind, code ast.Expr) {
		if selector, ok := kind.(*ast.SelectorExpr); ok && selector.Sel.Name == "Internal" {
			return // clients are told "internal"
		}
		switch c := code.(type) {
		case *ast.BasicLit:
			text, err := strconv.Unquote(c.Value)
			require.NoError(t, err)
			codes[text] = true
		case *ast.Ident:
			require.Contains(t, constants, c.Name, "the code of a failure in %s is neither a literal nor a constant of its package", dir)
			codes[constants[c.Name]] = true
		case *ast.SelectorExpr: // another package's constant
			require.Contains(t, fromElsewhere, c.Sel.Name, "the code of a failure in %s", dir)
			codes[fromElsewhere[c.Sel.Name]] = true
		case *ast.BinaryExpr:
			prefix, ok := c.X.(*ast.Ident)
			require.True(t, ok && prefix.Name == "limitCodePrefix", "the code of a failure in %s is put together", dir)
			for _, code := range api.LimitCodes() {
				codes[code] = true
			}
		default:
			require.Failf(t, "a code can't be read", "in %s: %T", dir, code)
		}
	}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				return n.Name.Name != "Refuse" // it hands on the code of another port, which has a table of its own
			case *ast.CallExpr:
				if called, ok := n.Fun.(*ast.SelectorExpr); ok && called.Sel.Name == "New" && len(n.Args) >= 3 {
					if from, ok := called.X.(*ast.Ident); ok && from.Name == "fault" {
						add(n.Args[0], n.Args[1])
					}
				}
			case *ast.CompositeLit:
				if dir != "." {
					return true // refusal is a type of the API
				}
				named, ok := n.Type.(*ast.Ident)
				if ok && named.Name == "refusal" && len(n.Elts) >= 2 {
					add(n.Elts[0], n.Elts[1])
				}
				if mapped, ok := n.Type.(*ast.MapType); ok {
					if value, ok := mapped.Value.(*ast.Ident); ok && value.Name == "refusal" {
						for _, entry := range n.Elts {
							elements := entry.(*ast.KeyValueExpr).Value.(*ast.CompositeLit).Elts
							add(elements[0], elements[1])
						}
					}
				}
			}
			return true
		})
	}
	return codes
}

// A code that the program answers with has an entry in the table, and so a page; an entry has a code that the program answers with.
func TestEachCodeHasAPage(t *testing.T) {
	t.Parallel()
	found := map[string]bool{"internal": true}
	for _, dir := range answering {
		maps.Copy(found, codesOfSource(t, dir))
	}
	require.Contains(t, found, "order_not_found", "a call of fault.New is read")
	require.Contains(t, found, "database_unavailable", "a constant is read")
	require.Contains(t, found, "header_too_large", "the table of what net/http answers is read")
	for code := range unanswered {
		delete(found, code)
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(found)), slices.Collect(maps.Keys(api.ProblemTypes())))
}

// Each code stands in the contract, beside its status.
func TestEachCodeIsInTheDocument(t *testing.T) {
	t.Parallel()
	documented := map[string]map[string]bool{}
	say := func(status string, codes []string) {
		for _, code := range codes {
			if documented[code] == nil {
				documented[code] = map[string]bool{}
			}
			documented[code][status] = true
		}
	}
	d := published()
	for status, codes := range d.anyRequest() {
		say(status, codes)
	}
	for _, methods := range d.Paths {
		for _, operation := range methods {
			for status, r := range operation.Responses {
				r = d.resolve(r)
				if r.Content["application/problem+json"] != nil {
					say(status, codesIn(r.Description))
				}
			}
		}
	}
	for code, status := range api.ProblemTypes() {
		require.True(t, documented[code][strconv.Itoa(status)], "openapi.yaml does not say %d %s", status, code)
	}
}

func TestAProblemTypeLeadsToItsPage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	refused := w.do("GET", "/v1/nothing", "")
	page := w.do("GET", refused.field("type"), "")
	require.Equal(t, http.StatusOK, page.status)
	require.Equal(t, "text/html; charset=utf-8", page.header.Get("Content-Type"))
	require.Equal(t, "default-src 'none'", page.header.Get("Content-Security-Policy"))
	require.Equal(t, "nosniff", page.header.Get("X-Content-Type-Options"))
	require.NotContains(t, page.body, "<script")
	for code, status := range api.ProblemTypes() {
		page := w.do("GET", "/problems/"+code, "")
		require.Equal(t, http.StatusOK, page.status, code)
		require.Contains(t, page.body, "<code>"+code+"</code>")
		require.Contains(t, page.body, "Status "+strconv.Itoa(status)+" "+http.StatusText(status))
	}
	requireProblem(t, w.do("GET", "/problems/nothing", ""), 404, "route_not_found")
	requireProblem(t, w.do("GET", "/problems/", ""), 404, "route_not_found")
}
