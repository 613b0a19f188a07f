package api

import (
	"context"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/source"
)

// Route is a route of a port that another package has behind this edge.
type Route struct {
	Method, Path string
	// Serve answers, or returns why it does not: a fault, or what Refuse makes.
	Serve func(c *gin.Context) error
}

// Problem is a kind of failure that only this port has, for its page.
type Problem struct {
	Code          string
	Status        int
	Means, Remedy string
}

// NewPort returns a handler without routes. Those that Add gives it are answered as those of the API are: within cfg.AnswerWithin and the limit of
// requests, with a request id, problem documents (RFC 9457), access log and metrics. It uses the fields of cfg that these need.
func NewPort(cfg Config, problems []Problem) *API {
	a := newEdge(cfg)
	a.problems = slices.Clone(problemTypes)
	for _, p := range problems {
		a.problems = append(a.problems, problemType{p.Code, p.Status, p.Means, p.Remedy})
	}
	return a
}

// Add adds a route, before the handler serves.
func (a *API) Add(r Route) { a.engine.Handle(r.Method, r.Path, a.handle(a.limitRequests(r.Serve))) }

// PassLogin calls login, which is a log-in with this address, within the limits of log-ins and failed ones. They are counted apart from
// those of other ports. Limited where one is met.
func (a *API) PassLogin(c *gin.Context, port, email string, login func() error) error {
	try, err := a.beginAttempt(c, port+" "+source.Of(c.Request.Context()), strings.ToLower(strings.TrimSpace(email)))
	if err != nil {
		return err
	}
	err = login()
	try.end(err)
	return err
}

// Decode reads the JSON body into the struct that into points to, as strictly as the API does.
func Decode(c *gin.Context, into any) error { return decode(c, into) }

// Answer writes body as JSON.
func Answer(c *gin.Context, status int, body any) error { return answerJSON(c, status, body) }

// Refuse is a failure that only the edge knows, with its status and stable code.
func Refuse(status int, code, detail string) error {
	return &refusal{status: status, code: code, detail: detail}
}

// Bearer returns the token that the request bears (RFC 6750, section 2.1), once authenticate has found its session. Unauthenticated no_session where
// there is no token, and what authenticate returns. Only a token that was sent can be called invalid (RFC 6750, section 3.1).
func Bearer(c *gin.Context, authenticate func(ctx context.Context, token string) error) (token string, err error) {
	scheme, token, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", fault.New(fault.Unauthenticated, "no_session", "send Authorization: Bearer with the token of a session")
	}
	err = authenticate(c.Request.Context(), token)
	if fault.KindOf(err) == fault.Unauthenticated {
		c.Header("WWW-Authenticate", challenge+`, error="invalid_token"`)
	}
	return token, err
}

// By notes for the access log whose account the request is about.
func By(c *gin.Context, accountID string) { exchangeOf(c).by(accountID) }

// ProblemPage shows what the code in the path means.
func (a *API) ProblemPage(c *gin.Context) error { return a.problemPage(c, login{}) }

// Document answers with an OpenAPI document.
func Document(c *gin.Context, document []byte) error {
	writeKept(c, keptForMinutes, "application/yaml", document)
	return nil
}
