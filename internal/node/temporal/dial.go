package temporal

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	sdklog "go.temporal.io/sdk/log"

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
