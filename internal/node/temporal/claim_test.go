package temporal_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"

	"example.com/orderly/internal/node/temporal"
	"example.com/orderly/internal/system"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/workflows"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// namespace is one of the test's own, and a client of it.
type namespace struct {
	t       *testing.T
	client  client.Client
	options client.Options
	calls   atomic.Int64
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	n := &namespace{t: t, options: client.Options{
		HostPort: testenv.Temporal(t, workflows.SearchAttributes()), Namespace: "orderly-test-" + strings.ToLower(rand.Text()[:12]),
		Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	}}
	n.options.ConnectionOptions.DialOptions = []grpc.DialOption{grpc.WithUnaryInterceptor(
		func(ctx context.Context, method string, in, out any, on *grpc.ClientConn, call grpc.UnaryInvoker, options ...grpc.CallOption) error {
			if !strings.HasSuffix(method, "/GetSystemInfo") {
				n.calls.Add(1)
			}
			return call(ctx, method, in, out, on, options...)
		})}
	c, err := client.DialContext(t.Context(), n.options)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.NoError(t, temporal.PrepareNamespace(t.Context(), c, n.options.Namespace, 24*time.Hour, func(string) {}))
	n.client = c
	return n
}

func (n *namespace) claim(id system.ID) error {
	return temporal.ClaimNamespace(n.t.Context(), n.client, n.options, id, func(string) {})
}

func (n *namespace) requireRefusal(ours, theirs system.ID) {
	n.t.Helper()
	err := n.claim(ours)
	refusal := new(system.OtherError)
	require.ErrorAs(n.t, err, &refusal)
	for _, words := range []string{"TEMPORAL_NAMESPACE", n.options.Namespace, "serves system " + string(theirs), "system " + string(ours), "orderly adopt"} {
		require.ErrorContains(n.t, err, words)
	}
}

func TestANamespaceServesOneSystem(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	free, err := temporal.Serves(t.Context(), n.client)
	require.NoError(t, err)
	require.True(t, free.Free())

	n.calls.Store(0)
	require.NoError(t, n.claim("ours"))
	require.EqualValues(t, 2, n.calls.Swap(0), "calls of the first process")
	require.NoError(t, n.claim("ours"))
	require.EqualValues(t, 1, n.calls.Load(), "calls of the next one")
	n.requireRefusal("theirs", "ours")
}

// Someone has ended the workflow that is the claim: it holds for as long as it is kept, and the next process of its system opens it again.
func TestAClaimThatWasEndedHolds(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	require.NoError(t, n.claim("ours"))
	require.NoError(t, n.client.TerminateWorkflow(t.Context(), "orderly-system", "", "by mistake"))
	n.requireRefusal("theirs", "ours")
	require.NoError(t, n.claim("ours"))
	found, err := temporal.Serves(t.Context(), n.client)
	require.NoError(t, err)
	require.True(t, found.Open)
	n.requireRefusal("theirs", "ours")
}

func TestOfSystemsThatClaimANamespaceAtOnceOneWins(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	var claims [8]error
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range claims {
		all.Go(func() {
			<-begin
			claims[i] = n.claim(system.ID("s" + string(rune('0'+i))))
		})
	}
	close(begin)
	all.Wait()
	won, err := temporal.Serves(t.Context(), n.client)
	require.NoError(t, err)
	for i, err := range claims {
		if system.ID("s"+string(rune('0'+i))) == won.System {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, "serves system "+string(won.System))
	}
}
