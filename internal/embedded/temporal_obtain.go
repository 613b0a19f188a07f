package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"google.golang.org/grpc"
)

const downloadTimeout = time.Minute

var errBuildGoesOn = errors.New("time is up; the build goes on by itself: try again in some minutes")

// downloadCLI fetches the CLI into dir through the SDK. The only function of the SDK that downloads it also starts the server
// that it fetched, and would leave it running if the time ended just then. So the address given to that server is taken
// already, by a gRPC server of ours that answers the SDK's first call, and the fetched server ends itself at once.
func downloadCLI(ctx context.Context, dir string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	greeter := grpc.NewServer()
	workflowservice.RegisterWorkflowServiceServer(greeter, workflowservice.UnimplementedWorkflowServiceServer{})
	go func() { _ = greeter.Serve(listener) }()
	defer greeter.Stop()

	server, err := testsuite.StartDevServer(ctx, testsuite.DevServerOptions{
		CachedDownload: testsuite.CachedDownload{Version: "v" + TemporalCLIVersion, DestDir: dir},
		ClientOptions:  &client.Options{HostPort: listener.Addr().String(), Logger: silent},
		Stdout:         io.Discard,
		Stderr:         io.Discard,
	})
	if err != nil {
		return "", err
	}
	server.Client().Close()
	_ = server.Stop() // it fails, as it should: the server could not listen
	return filepath.Join(dir, "temporal-cli-v"+TemporalCLIVersion), nil
}

// build makes the Go toolchain install the CLI into the work folder. The child has a session of its own and holds the
// lock, so it outlives this process, and no other process starts a second build beside it.
func (s cliSource) build(ctx context.Context, place cliPlace, lock *os.File) error {
	goTool, err := s.lookPath("go")
	if err != nil {
		return errors.New("there is no `go` on PATH")
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	output, err := os.Create(filepath.Join(place.work(), "log"))
	if err != nil {
		return err
	}
	defer output.Close()

	cmd := exec.Command(goTool, "install", "-ldflags=-s -w", "github.com/temporalio/cli/cmd/temporal@v"+TemporalCLIVersion)
	cmd.Dir = place.work()
	cmd.Env = append(os.Environ(),
		"GOBIN="+filepath.Dir(place.built()),
		// On the file system of the place, so that the finished file appears there in one step.
		"GOTMPDIR="+place.temp(),
		// Never empty: an empty one lets `go env -w GOFLAGS=...` through.
		"GOFLAGS=-buildvcs=false",
		"GO111MODULE=on", "GOWORK=off", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}

	s.Say("It is being built from source with the Go toolchain, which takes from two to ten minutes the first time.")
	started, ended := make(chan error), make(chan error, 1)
	go s.run(cmd, started, ended)
	if err := <-started; err != nil {
		return err
	}
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("go install: %w: %s", err, lastLines(output, 5))
		}
		return nil
	case <-ctx.Done():
	}
	if s.Detach {
		return errBuildGoesOn
	}
	// The compilers are children of the go command and belong to its session.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	<-ended // the caller looks at what was built
	return context.Cause(ctx)
}

// run starts the build and waits for it. A detached build is not a child to be ended with this process.
func (s cliSource) run(cmd *exec.Cmd, started chan<- error, ended chan<- error) {
	if s.Detach {
		started <- cmd.Start()
		ended <- cmd.Wait()
		return
	}
	runtime.LockOSThread() // the child dies with the thread that started it
	defer runtime.UnlockOSThread()
	dieWithParent(cmd.SysProcAttr)
	if err := startChild(cmd); err != nil {
		started <- err
		return
	}
	started <- nil
	ended <- waitChild(cmd)
}

// lastLines returns the end of a log for an error message, on one line.
func lastLines(log *os.File, count int) string {
	const enough = 4096
	info, err := log.Stat()
	if err != nil {
		return ""
	}
	tail := make([]byte, enough)
	n, _ := log.ReadAt(tail, max(0, info.Size()-enough))
	lines := strings.Split(strings.TrimSpace(string(tail[:n])), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], " | ")
}

// silent keeps the SDK's own client from writing to standard error; what matters comes back as an error.
var silent = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
