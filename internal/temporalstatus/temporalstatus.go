// Package temporalstatus says what a failure of a call to Temporal means, so that start-up, the starter of sagas and the sweeper decide alike.
package temporalstatus

import (
	"errors"

	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc/codes"
)

// Means is what a failure means to all who call Temporal.
type Means string

const (
	// Passes: the same call may succeed later without a change on our side.
	Passes Means = "passes"
	// Person: waiting alone mends nothing, and no other call of this kind will succeed before a person has mended it.
	Person Means = "needs a person"
	// Ours: the call is wrong, or it is an answer that its caller knows, such as that there is no such workflow.
	Ours Means = "ours"
)

// Verdict is what a status means, and why.
type Verdict struct {
	Means Means
	Why   string
}

// verdicts is the verdict on each of gRPC's status codes (https://grpc.io/docs/guides/status-codes/), as Temporal's server uses them.
var verdicts = map[codes.Code]Verdict{
	codes.Canceled:           {Passes, "the caller has left"},
	codes.OK:                 {Ours, "it reports no failure"},
	codes.Unknown:            {Ours, "not a status of Temporal's"},
	codes.InvalidArgument:    {Ours, "the request is wrong"},
	codes.DeadlineExceeded:   {Passes, "the server did not answer in time"},
	codes.NotFound:           {Ours, "an answer: there is no such workflow"},
	codes.AlreadyExists:      {Ours, "an answer: there is one already"},
	codes.PermissionDenied:   {Person, "check TEMPORAL_API_KEY or the certificate (TEMPORAL_TLS_*), and their rights in the namespace"},
	codes.ResourceExhausted:  {Passes, "the server or the namespace is at its limit"},
	codes.FailedPrecondition: {Person, "the namespace is being deleted or not active here, or this program is too old for the server"},
	codes.Aborted:            {Passes, "it lost to another call"},
	codes.OutOfRange:         {Ours, "the request is wrong"},
	codes.Unimplemented:      {Person, "TEMPORAL_ADDRESS names something else than Temporal's frontend, or one that is too old"},
	codes.Internal:           {Person, "the server has met a fault of its own: see its log"},
	codes.Unavailable:        {Passes, "the server can't be reached, or its own database can't"},
	codes.DataLoss:           {Person, "the server's data is damaged: see its log"},
	codes.Unauthenticated:    {Person, "check TEMPORAL_API_KEY or the certificate (TEMPORAL_TLS_*)"},
}

// namespaceMissing is the verdict on NotFound where it is the namespace that is not there.
var namespaceMissing = Verdict{Person, "TEMPORAL_NAMESPACE names no namespace of the server: run orderly migrate, or correct it"}

// Judge finds the verdict on err: the server's answer, or what the client says of a server that gave none. A context that ended counts as
// an answer that did not come.
func Judge(err error) Verdict {
	if errors.As(err, new(*serviceerror.NamespaceNotFound)) { // which has the status of a workflow that is not there
		return namespaceMissing
	}
	return verdicts[serviceerror.ToStatus(err).Code()]
}
