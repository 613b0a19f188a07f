package temporal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc/codes"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/node/lifecycle"
)

// Options are address, namespace, TLS and API key, from the variables every Temporal client knows. The client logs into log.
func Options(log *slog.Logger) (client.Options, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return options, fmt.Errorf("read the TEMPORAL_* variables: %w", err)
	}
	options.Namespace = cmp.Or(options.Namespace, client.DefaultNamespace)
	options.Logger = sdklog.NewStructuredLogger(log)
	return options, nil
}

// Dial waits for a server that is not up yet. What waiting can't mend is an error that names the variable.
func Dial(ctx context.Context, options client.Options, say func(string)) (c client.Client, err error) {
	err = lifecycle.WaitFor(ctx, say, "Temporal at "+options.HostPort+" (TEMPORAL_ADDRESS)", func(ctx context.Context) error {
		var err error
		if c, err = client.DialContext(ctx, options); err == nil {
			return nil
		}
		return cmp.Or(refusal(err, options), away(err))
	})
	return c, err
}

// away marks an error as one of a server that may still come up.
func away(err error) error {
	return fmt.Errorf("%w: %w", fault.New(fault.Unavailable, "temporal_unavailable", "Temporal does not answer"), err)
}

// unanswered reports whether the error means that Temporal is away or busy, rather than an answer.
func unanswered(err error) bool {
	code := serviceerror.ToStatus(err).Code()
	return code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.ResourceExhausted
}

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
