package temporal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/node/lifecycle"
)

// Options are address, namespace, TLS and API key, from the variables every Temporal client knows. The client logs into log.
func Options(log *slog.Logger) (client.Options, error) {
	profile, err := envconfig.LoadClientConfigProfile(envconfig.LoadClientConfigProfileOptions{EnvLookup: environment{}})
	if err != nil {
		return client.Options{}, fmt.Errorf("read the TEMPORAL_* variables: %w", err)
	}
	if profile.Codec != nil && *profile.Codec != (envconfig.ClientConfigCodec{}) {
		return client.Options{}, errCodec
	}
	options, err := profile.ToClientOptions(envconfig.ToClientOptionsRequest{})
	if err != nil {
		return options, fmt.Errorf("read the TEMPORAL_* variables: %w", err)
	}
	if err := useAuthority(&options.ConnectionOptions); err != nil {
		return options, err
	}
	options.Namespace = cmp.Or(options.Namespace, client.DefaultNamespace)
	options.Logger = sdklog.NewStructuredLogger(log)
	return options, nil
}

// useAuthority makes TEMPORAL_CLIENT_AUTHORITY count with TLS, too: the client takes it without TLS only.
func useAuthority(connection *client.ConnectionOptions) error {
	if connection.Authority == "" || connection.TLS == nil {
		return nil
	}
	if name := connection.TLS.ServerName; name != "" && name != connection.Authority {
		return errors.New("TEMPORAL_CLIENT_AUTHORITY and TEMPORAL_TLS_SERVER_NAME differ, and a connection has one name: unset one of them")
	}
	connection.DialOptions = append(connection.DialOptions, grpc.WithAuthority(connection.Authority))
	return nil
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
