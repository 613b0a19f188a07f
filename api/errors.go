package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/paymenttoken"
)

// statuses is the one table from a service's failure to a status. Nothing else here looks at kinds.
var statuses = map[fault.Kind]int{
	fault.Invalid:         http.StatusUnprocessableEntity,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.NotFound:        http.StatusNotFound,
	fault.Conflict:        http.StatusConflict,
	fault.Declined:        http.StatusConflict,
	fault.Limited:         http.StatusTooManyRequests,
	fault.Unavailable:     http.StatusServiceUnavailable,
	fault.Internal:        http.StatusInternalServerError,
}

// refusal is a failure that only this edge knows: the request never reached a service.
type refusal struct {
	status int
	code   string
	detail string
}

func (r *refusal) Error() string { return r.detail }

var errTooLate = fault.New(fault.Unavailable, "deadline_exceeded", "the answer did not come in time; try again")

// statusClientClosed is what the log and the metrics say of a request whose client left before its answer. HTTP has no status for it; 499 is
// nginx's, which load balancers and dashboards know. No client ever sees it.
const statusClientClosed = 499

// challenge is what a client that has no session is asked for (RFC 6750, section 3).
const challenge = `Bearer realm="orderly"`

// failure is what a client is told.
type failure struct {
	status     int
	code       string
	detail     string
	retryAfter time.Duration
}

func failureOf(ctx context.Context, err error) failure {
	if r, ok := errors.AsType[*refusal](err); ok {
		return failure{status: r.status, code: r.code, detail: r.detail}
	}
	f, ok := fault.As(err)
	switch interrupted := ctx.Err(); {
	case errors.Is(interrupted, context.Canceled) && (!ok || errors.Is(err, context.Canceled)):
		return failure{status: statusClientClosed, code: "client_closed_request", detail: "the client closed the connection before the answer"}
	case interrupted != nil && !ok:
		// Each driver names this differently, but all of it is an interruption and no defect.
		f = errTooLate
	}
	status := http.StatusInternalServerError
	if f != nil && statuses[f.Kind] != 0 {
		status = statuses[f.Kind]
	}
	if status == http.StatusInternalServerError {
		return failure{status: status, code: "internal", detail: "something went wrong on our side; the request id helps us find it"}
	}
	return failure{status: status, code: f.Code, detail: f.Message, retryAfter: f.RetryAfter}
}

// problem is a problem document of RFC 9457. Programs act on Code.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Instance  string `json:"instance,omitempty"` // empty where the request line can't be read or must not be repeated
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
}

// refuse writes the problem document; cause is for the log alone.
func (x *exchange) refuse(w http.ResponseWriter, f failure, cause error) {
	x.mu.Lock()
	x.code, x.err = f.code, cause
	x.mu.Unlock()

	h := w.Header()
	if f.status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", challenge)
	}
	if f.status == http.StatusServiceUnavailable || f.status == http.StatusTooManyRequests {
		retryAfter(h, f.retryAfter)
	}
	instance := x.path
	if slices.ContainsFunc(strings.Split(instance, "/"), mayBeCard) {
		instance = ""
	}
	if instance != "" {
		instance = pathOf(x.publicURL) + instance
	}
	// Without a public URL the type is an absolute path, which RFC 9457 (section 3.1.1) asks of a type that is a relative reference.
	writeJSON(w, f.status, "application/problem+json", problem{
		Type: x.publicURL + "/problems/" + f.code, Title: titleOf(f.code), Status: f.status, Detail: f.detail,
		Instance: instance, Code: f.code, RequestID: x.requestID,
	})
}

// mayBeCard reports whether a segment of a path could be a card number, which is repeated to no one. Ids have many digits, too.
func mayBeCard(segment string) bool {
	return paymenttoken.HoldsCardNumber(segment) && uuid.Validate(segment) != nil
}

func answerJSON(c *gin.Context, status int, body any) error {
	writeJSON(c.Writer, status, "application/json", body)
	return nil
}

func writeJSON(w http.ResponseWriter, status int, contentType string, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(err) // plain structs of ours; the edge makes it a 500
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(encoded, '\n'))
}
