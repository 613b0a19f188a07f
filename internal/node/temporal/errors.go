package temporal

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/codes"

	"example.com/orderly/internal/temporalstatus"
)

// passes reports whether the same call may succeed later.
func passes(err error) bool { return temporalstatus.Judge(err).Means == temporalstatus.Passes }

// handshakeRefused matches gRPC's text for a handshake that TLS refuses. One that was cut off has another text.
var handshakeRefused = regexp.MustCompile(`authentication handshake failed: (remote error: )?(tls|x509): `)

// refusal explains an error that retrying does not cure, with the variable to correct; it returns nil for any other error.
func refusal(err error, options client.Options) error {
	var denied *serviceerror.PermissionDenied
	var unknown *serviceerror.NamespaceNotFound
	switch {
	case errors.As(err, &denied), serviceerror.ToStatus(err).Code() == codes.Unauthenticated:
		return fmt.Errorf("TEMPORAL_API_KEY or the certificate (TEMPORAL_TLS_*): Temporal at %s refuses us: %w", options.HostPort, err)
	case errors.As(err, &unknown):
		return fmt.Errorf("TEMPORAL_NAMESPACE: Temporal at %s has no namespace %q: run orderly migrate, or name another",
			options.HostPort, options.Namespace)
	case err != nil && handshakeRefused.MatchString(err.Error()):
		return fmt.Errorf("TEMPORAL_TLS and TEMPORAL_TLS_*: Temporal at %s and we do not agree on TLS (%w); correct the address, the "+
			"certificates, or whether TLS is used at all", options.HostPort, err)
	}
	return nil
}

// tolerateForbidden says that the server does not permit us to do what, and returns nil, if err is of that kind; it returns every other
// error as it is.
func tolerateForbidden(err error, say func(string), what string) error {
	if forbidden(err) {
		say("Temporal does not permit us to " + what + ": " + err.Error())
		return nil
	}
	return err
}

// forbidden reports whether the server does not permit the call, or does not implement it.
func forbidden(err error) bool {
	var denied *serviceerror.PermissionDenied
	var unimplemented *serviceerror.Unimplemented
	return errors.As(err, &denied) || errors.As(err, &unimplemented)
}

// keepTrying calls try every half second until it succeeds or namespaceTimeout is over. Then it returns the last error.
func keepTrying(ctx context.Context, try func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, namespaceTimeout)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
