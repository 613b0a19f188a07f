package testenv

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"example.com/orderly/internal/embedded"
)

// Obtaining the Temporal CLI can take minutes. A test waits for it no longer than this before its own deadline; the
// build goes on, and the next run finds it finished.
const (
	timeLeftForTest = 4 * time.Minute
	longestWait     = 20 * time.Minute
)

// TemporalCLI returns the path of a Temporal CLI. Where none can be had in time the test is skipped, or fails if
// REQUIRE_INTEGRATION=1.
func TemporalCLI(t testing.TB) string {
	t.Helper()
	wait := longestWait
	if test, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, ok := test.Deadline(); ok {
			wait = min(wait, time.Until(deadline)-timeLeftForTest)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	path, err := embedded.TemporalCLI(ctx, embedded.CLIOptions{
		Detach: true,
		Say:    func(line string) { t.Log(line) },
	})
	if err != nil {
		if os.Getenv("REQUIRE_INTEGRATION") == "1" {
			t.Fatalf("this test needs the Temporal CLI: %v", err)
		}
		t.Skipf("this test needs the Temporal CLI: %v", err)
	}
	return path
}

var shared struct {
	sync.Mutex
	server *embedded.Temporal
	err    error
}

// Temporal returns host:port of a Temporal server shared by all tests of the binary, started by the first that asks and
// kept in memory, with that one's search attributes (name to type). Tests keep apart by task queue and workflow id.
func Temporal(t testing.TB, searchAttributes map[string]string) (hostPort string) {
	t.Helper()
	cli := TemporalCLI(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = embedded.StartTemporal(context.Background(), embedded.TemporalConfig{
			CLI: cli, NoUI: true, LogLevel: "error", SearchAttributes: searchAttributes,
		})
	}
	if shared.err != nil {
		t.Fatalf("start the Temporal server of the tests: %v", shared.err)
	}
	return shared.server.Addr()
}

// Main runs the tests of a package and then stops what they shared. A package whose tests call Temporal has
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
//
// without which the server is killed by the kernel when the tests end on Linux, and left running elsewhere. Each of after is called
// when the tests have ended.
func Main(m *testing.M, after ...func()) {
	code := m.Run()
	for _, do := range after {
		do()
	}
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func stopShared() error {
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		return nil
	}
	// Nothing in it is kept, so there is nothing to wait for.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return shared.server.Stop(ctx)
}
