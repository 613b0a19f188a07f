// Package fault is the one error type that crosses the borders of the services. A service says what kind of failure it met;
// each edge (HTTP, Temporal) has one table that says what that kind means there. Programs act on kind and code, people read
// the message.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind is the closed list of failures an edge must know how to translate.
type Kind string

const (
	// Invalid is a request that can never succeed as it stands.
	Invalid Kind = "invalid"
	// Unauthenticated is a request without a valid session.
	Unauthenticated Kind = "unauthenticated"
	// NotFound is a thing that does not exist, or that the caller may not know of.
	NotFound Kind = "not_found"
	// Conflict is a request that contradicts what has been recorded.
	Conflict Kind = "conflict"
	// Declined is a business no: out of stock, card declined, order cancelled. It is a result, not a defect.
	Declined Kind = "declined"
	// Limited is a request of which too many came; the same one may succeed after RetryAfter.
	Limited Kind = "limited"
	// Unavailable is a dependency that does not answer; the same request may succeed later.
	Unavailable Kind = "unavailable"
	// Internal is everything else: a defect of ours. Its message is for the log, never for a client.
	Internal Kind = "internal"
)

// Kinds are all kinds there are. Each edge's table has a test that goes through them.
func Kinds() []Kind {
	return []Kind{Invalid, Unauthenticated, NotFound, Conflict, Declined, Limited, Unavailable, Internal}
}

// Error is a failure with a kind, a stable machine-readable code and a message for people.
type Error struct {
	Kind Kind
	// Code is a stable snake_case reason such as "out_of_stock". Renaming one breaks clients.
	Code    string
	Message string
	// RetryAfter is how long the caller should wait before trying again; zero when unknown.
	RetryAfter time.Duration
	// Waiting says of an Unavailable that nothing is wrong: what was asked has not decided yet, and is asked again. It is neither logged nor
	// counted as a failure.
	Waiting bool
	// FirstCause is the code of the earlier failure from which this one follows, such as the one for which a step was undone. Empty where
	// there is none or it is not known.
	FirstCause string
}

// New makes an Error; message is a format for args.
func New(kind Kind, code, message string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(message, args...)}
}

func (e *Error) Error() string { return e.Message }

// As returns the first Error in err's chain.
func As(err error) (*Error, bool) {
	var f *Error
	ok := errors.As(err, &f)
	return f, ok
}

// KindOf returns the kind of err, looking through wraps. An error that carries none is Internal; nil has the empty kind.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if f, ok := As(err); ok {
		return f.Kind
	}
	return Internal
}

// CodeOf returns the code of err, looking through wraps; "internal" where it carries none, empty for nil.
func CodeOf(err error) string {
	if err == nil {
		return ""
	}
	if f, ok := As(err); ok {
		return f.Code
	}
	return string(Internal)
}

// Final reports whether trying the same thing again can only give the same answer.
func Final(err error) bool {
	switch KindOf(err) {
	case Invalid, Unauthenticated, NotFound, Conflict, Declined:
		return true
	default:
		return false
	}
}
