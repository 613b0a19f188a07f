package main

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// The API key goes to Temporal with every call, and a server that does not want it ends the process with one line instead of being waited
// for.
func TestTemporalLogin(t *testing.T) {
	t.Parallel()
	for _, refusal := range []codes.Code{codes.Unauthenticated, codes.PermissionDenied} {
		t.Run(refusal.String(), func(t *testing.T) {
			t.Parallel()
			shown := make(chan string, 100)
			server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
				sent, _ := metadata.FromIncomingContext(stream.Context())
				shown <- sent.Get("authorization")[0]
				return status.Error(refusal, "not you")
			}))
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			go func() { _ = server.Serve(listener) }()
			t.Cleanup(server.Stop)

			w := newWorld(t)
			// The key is only sent over TLS unless told otherwise.
			w.env = append(w.env, "TEMPORAL_ADDRESS="+listener.Addr().String(), "TEMPORAL_API_KEY=s3cret", "TEMPORAL_TLS=false")
			w.requireRefusal([]string{"migrate"}, "TEMPORAL_API_KEY", "not you")
			require.Equal(t, "Bearer s3cret", <-shown)
		})
	}
}
