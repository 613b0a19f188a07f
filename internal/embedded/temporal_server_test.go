package embedded_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"example.com/orderly/internal/embedded"
	"example.com/orderly/internal/testenv"
)

func TestTemporalStopLeavesNoProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := startServer(t, embedded.TemporalConfig{Dir: dir})
	requireListening(t, server.Addr())
	requireListening(t, server.UIAddr())
	require.NoError(t, server.Err())

	require.NoError(t, server.Stop(context.Background()))
	<-server.Done()
	require.NoError(t, server.Err(), "a server that was stopped did not fail")
	require.Empty(t, embedded.CommandLine(server.Pid()))
	require.NoFileExists(t, filepath.Join(dir, "temporal.pid"))
	require.NoError(t, server.Stop(context.Background()))
}

func TestTemporalStopKillsWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	server := startServer(t, embedded.TemporalConfig{NoUI: true})
	require.NoError(t, syscall.Kill(server.Pid(), syscall.SIGSTOP), "a stopped process heeds no SIGTERM")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	require.NoError(t, server.Stop(ctx))
	require.Empty(t, embedded.CommandLine(server.Pid()))
}

func TestTemporalKeepsAnOpenWorkflowThroughKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	attributes := map[string]string{"OrderStatus": "Keyword"}
	server := startServer(t, embedded.TemporalConfig{Dir: dir, NoUI: true, SearchAttributes: attributes})
	status := temporal.NewSearchAttributeKeyKeyword("OrderStatus")
	openWorkflow(t, server.Addr(), "order-1", status.ValueSet("pending"))

	require.NoError(t, syscall.Kill(server.Pid(), syscall.SIGKILL))
	<-server.Done()
	require.ErrorContains(t, server.Err(), "ended by itself (signal: killed)")

	// A version that has one attribute more finds it registered on the old database.
	attributes = map[string]string{"OrderStatus": "Keyword", "Parked": "Bool"}
	server = startServer(t, embedded.TemporalConfig{Dir: dir, NoUI: true, SearchAttributes: attributes})
	c := dial(t, server.Addr())
	found, err := c.DescribeWorkflowExecution(context.Background(), "order-1", "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, found.GetWorkflowExecutionInfo().GetStatus())
	openWorkflow(t, server.Addr(), "order-2",
		status.ValueSet("pending"), temporal.NewSearchAttributeKeyBool("Parked").ValueSet(false))

	require.NoError(t, server.Stop(context.Background()))
	attributes["Parked"] = "Int"
	_, err = embedded.StartTemporal(context.Background(),
		embedded.TemporalConfig{CLI: testenv.TemporalCLI(t), Dir: dir, NoUI: true, SearchAttributes: attributes})
	require.ErrorContains(t, err, "search attribute Parked is registered as Bool, not as Int")
}

func TestTemporalDiesWithItsParent(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a child with its parent; elsewhere the next start does")
	}
	supervisor, pid := start(t, "supervise", testenv.TemporalCLI(t), t.TempDir())
	require.NotEmpty(t, commandLine(t, pid))
	require.NoError(t, supervisor.Process.Kill())
	require.Eventually(t, func() bool { return commandLine(t, pid) == "" }, 10*time.Second, 10*time.Millisecond)
}

func TestTemporalOrphanIsEndedAtTheNextStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	supervisor, pid := start(t, "supervise-carelessly", testenv.TemporalCLI(t), dir)
	t.Cleanup(func() {
		if pid, err := strconv.Atoi(pid); err == nil && embedded.CommandLine(pid) != "" {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	require.NoError(t, supervisor.Process.Kill())
	_ = supervisor.Wait()
	require.NotEmpty(t, commandLine(t, pid), "the server must have outlived its parent for this test to mean anything")

	server := startServer(t, embedded.TemporalConfig{Dir: dir, NoUI: true})
	require.Empty(t, commandLine(t, pid))
	require.NotEqual(t, pid, strconv.Itoa(server.Pid()))
}

func TestOnlyOurOrphanIsEnded(t *testing.T) {
	t.Parallel()
	// A process that must live, under a pid that a file of ours names.
	stranger, said := start(t, "lock", t.TempDir())
	require.Equal(t, "locked", said)
	pid := stranger.Process.Pid
	mark := strings.TrimSpace(embedded.CommandLine(pid))

	for name, test := range map[string]struct{ content, mark string }{
		"another command line": {strconv.Itoa(pid) + " " + embedded.StartedAt(pid), "--db-filename /somewhere/else "},
		"another start time":   {strconv.Itoa(pid) + " 1", mark},
		"not a pid":            {"all of them", mark},
		"every process":        {"-1 ", ""},
		"nothing":              {"", ""},
	} {
		t.Run(name+" is left alone", func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "temporal.pid")
			require.NoError(t, os.WriteFile(file, []byte(test.content), 0o600))
			require.NoError(t, embedded.EndOrphan(context.Background(), file, test.mark))
			require.NotEmpty(t, embedded.CommandLine(pid))
			require.NoFileExists(t, file)
		})
	}
}

func TestTemporalPortTaken(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	addr, port := listener.Addr().String(), listener.Addr().(*net.TCPAddr).Port
	cli := testenv.TemporalCLI(t)

	_, err = embedded.StartTemporal(context.Background(),
		embedded.TemporalConfig{CLI: cli, Dir: t.TempDir(), Port: port, PortSetting: "--temporal-port"})
	require.ErrorContains(t, err, "the address "+addr+" for Temporal is taken")
	require.ErrorContains(t, err, "choose another port with --temporal-port")
	require.NotContains(t, err.Error(), "\n")

	_, err = embedded.StartTemporal(context.Background(),
		embedded.TemporalConfig{CLI: cli, Dir: t.TempDir(), UIPort: port, UIPortSetting: "--temporal-ui-port"})
	require.ErrorContains(t, err, "the address "+addr+" for the Temporal web UI is taken")
	require.ErrorContains(t, err, "choose another port with --temporal-ui-port")
}

func TestTemporalStartFails(t *testing.T) {
	t.Parallel()
	cli := testenv.TemporalCLI(t)

	t.Run("with the end of the log when the server ends at once", func(t *testing.T) {
		t.Parallel()
		_, err := embedded.StartTemporal(context.Background(),
			embedded.TemporalConfig{CLI: cli, Dir: t.TempDir(), NoUI: true, SearchAttributes: map[string]string{"A": "Banana"}})
		require.ErrorContains(t, err, "it ended at once")
		require.ErrorContains(t, err, "Banana")
	})

	t.Run("and leaves no process when the context ends", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Millisecond)
		defer cancel()
		_, err := embedded.StartTemporal(ctx, embedded.TemporalConfig{CLI: cli, Dir: dir, NoUI: true})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		if line, err := os.ReadFile(filepath.Join(dir, "temporal.pid")); err == nil {
			pid, _, _ := strings.Cut(string(line), " ")
			require.Empty(t, commandLine(t, pid))
		}
		// Nor does what it has begun to write keep the next start from succeeding.
		startServer(t, embedded.TemporalConfig{Dir: dir, NoUI: true})
	})

	t.Run("in a folder the server would misread", func(t *testing.T) {
		t.Parallel()
		_, err := embedded.StartTemporal(context.Background(),
			embedded.TemporalConfig{CLI: cli, Dir: filepath.Join(t.TempDir(), "a?b"), NoUI: true})
		require.ErrorContains(t, err, "?, # or %")
	})
}

func TestHalfMadeDatabaseIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "temporal.db"), nil, 0o600))
	startServer(t, embedded.TemporalConfig{Dir: dir, NoUI: true})
}

func TestSharedTemporal(t *testing.T) {
	t.Parallel()
	attributes := map[string]string{"Parked": "Bool"}
	addr := testenv.Temporal(t, attributes)
	require.Equal(t, addr, testenv.Temporal(t, attributes))
	openWorkflow(t, addr, t.Name(), temporal.NewSearchAttributeKeyBool("Parked").ValueSet(true))
}

func startServer(t *testing.T, cfg embedded.TemporalConfig) *embedded.Temporal {
	t.Helper()
	cfg.CLI = testenv.TemporalCLI(t)
	began := time.Now()
	server, err := embedded.StartTemporal(context.Background(), cfg)
	require.NoError(t, err)
	t.Logf("ready after %s", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		require.NoError(t, server.Stop(ctx))
	})
	return server
}

// openWorkflow starts a workflow that no worker takes up.
func openWorkflow(t *testing.T, addr, id string, attributes ...temporal.SearchAttributeUpdate) {
	t.Helper()
	_, err := dial(t, addr).ExecuteWorkflow(context.Background(), client.StartWorkflowOptions{
		ID: id, TaskQueue: t.Name(), TypedSearchAttributes: temporal.NewSearchAttributes(attributes...),
	}, "NoSuchWorkflow")
	require.NoError(t, err)
}

func dial(t *testing.T, addr string) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: addr})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func commandLine(t *testing.T, pid string) string {
	t.Helper()
	number, err := strconv.Atoi(pid)
	require.NoError(t, err)
	return embedded.CommandLine(number)
}

func requireListening(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}
