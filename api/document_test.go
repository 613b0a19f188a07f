package api_test

import (
	"mime"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// document is the part of openapi.yaml that says how a request may be answered.
type document struct {
	Info  struct{ Description string }
	Paths map[string]map[string]struct {
		Responses map[string]response
	}
	Components struct{ Responses map[string]response }
}

type response struct {
	Ref         string `yaml:"$ref"`
	Description string
	Headers     map[string]any
	Content     map[string]any
}

// published is the document of the customers' port, publishedForOperators that of the operators'.
var (
	published             = sync.OnceValue(func() document { return readDocument("openapi.yaml") })
	publishedForOperators = sync.OnceValue(func() document { return readDocument("operator/openapi.yaml") })
)

func readDocument(path string) document {
	text, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	var d document
	if err := yaml.Unmarshal(text, &d); err != nil {
		panic(err)
	}
	return d
}

// resolve follows a reference, whose description is that of the response beside it, where there is one (OpenAPI 3.1, section 4.8.23).
func (d document) resolve(r response) response {
	if r.Ref == "" {
		return r
	}
	to := d.Components.Responses[strings.TrimPrefix(r.Ref, "#/components/responses/")]
	if r.Description != "" {
		to.Description = r.Description
	}
	return to
}

// operation is the answers of a method of an address, by status; ok is false where the document has none.
func (d document) operation(method, path string) (answers map[string]response, ok bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	path, _, _ = strings.Cut(path, "?")
	for template, methods := range d.Paths {
		form := regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(template), `[^/]+`)
		if operation, found := methods[strings.ToLower(method)]; found && regexp.MustCompile("^"+form+"$").MatchString(path) {
			if !strings.Contains(template, "{") {
				return operation.Responses, true // an address of its own comes before one with a parameter
			}
			answers, ok = operation.Responses, true
		}
	}
	return answers, ok
}

// anyRequest is what the document says of every request: the codes of each status.
func (d document) anyRequest() map[string][]string {
	codes := map[string][]string{}
	for _, line := range regexp.MustCompile(`(?m)^- (\d{3}) (.*)$`).FindAllStringSubmatch(d.Components.Responses["Any"].Description, -1) {
		codes[line[1]] = codesIn(line[2])
	}
	return codes
}

func codesIn(description string) []string {
	var codes []string
	for _, m := range regexp.MustCompile("`([a-z]+(?:_[a-z]+)*)`").FindAllStringSubmatch(description, -1) {
		codes = append(codes, m[1])
	}
	return codes
}

// missing is what the document does not say about this answer; empty where it says everything.
func (d document) missing(method, path string, r reply) string {
	status, code := strconv.Itoa(r.status), r.field("code")
	answers, known := d.operation(method, path)
	if method == http.MethodOptions && r.status == http.StatusNoContent {
		return ""
	}
	if method == http.MethodHead && (known && answers[status].Ref+answers[status].Description != "" || d.anyRequest()[status] != nil) {
		return "" // it has no body that could tell the code
	}
	if said, ok := answers[status]; known && ok {
		said = d.resolve(said)
		media, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
		switch {
		case r.body != "" && said.Content[media] == nil:
			return "a body of the type " + media
		case media == "application/problem+json" && !slices.Contains(append(codesIn(said.Description), d.anyRequest()[status]...), code):
			return "the code " + code
		}
		for _, name := range []string{
			"Allow", "ETag", "Idempotency-Replayed", "Link", "Location", "Preference-Applied", "Retry-After", "WWW-Authenticate",
		} {
			if r.header.Get(name) != "" && said.Headers[name] == nil {
				return "the header " + name
			}
		}
		return ""
	}
	if slices.Contains(d.anyRequest()[status], code) {
		return ""
	}
	return "the status " + status + " with the code " + code
}

// A test that gets an answer which the document does not describe fails: world.try asks here about each answer of every test.
func (w *world) checkDocument(method, path string, r reply) {
	if r.field("code") == "some_code" { // which tests make up
		return
	}
	if what := w.document().missing(method, path, r); what != "" {
		w.t.Errorf("the document does not say that %s %s is answered with %s: %s", method, path, what, r.body)
	}
}

func TestTheDocumentSaysOfEachRouteThatAnyRequestMayFail(t *testing.T) {
	t.Parallel()
	d := published()
	require.NotEmpty(t, d.anyRequest())
	for path, methods := range d.Paths {
		for method, operation := range methods {
			require.Equal(t, "#/components/responses/Any", operation.Responses["default"].Ref, "%s %s", method, path)
		}
	}
}

func TestAnAnswerThatTheDocumentDoesNotDescribeIsFound(t *testing.T) {
	t.Parallel()
	problem := func(status int, code string, headers ...string) reply {
		r := reply{status: status, body: `{"code":"` + code + `"}`, header: http.Header{"Content-Type": {"application/problem+json"}}}
		for _, name := range headers {
			r.header.Set(name, "x")
		}
		return r
	}
	d := published()
	require.Empty(t, d.missing("GET", "/v1/orders/4", problem(404, "order_not_found")))
	require.NotEmpty(t, d.missing("GET", "/v1/orders/4", problem(404, "user_not_found")))
	require.NotEmpty(t, d.missing("GET", "/v1/orders/4", problem(409, "order_not_found")))
	require.NotEmpty(t, d.missing("GET", "/v1/orders/4", problem(404, "order_not_found", "Location")))
	require.Empty(t, d.missing("GET", "/v1/nothing", problem(404, "route_not_found")))
	require.NotEmpty(t, d.missing("GET", "/v1/nothing", problem(404, "order_not_found")))
}
