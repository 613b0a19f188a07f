package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/embedded"
	"example.com/orderly/internal/testenv"
)

// The test binary runs again as the process that has a server or a folder, to be killed by a test.
const roleVariable = "EMBEDDED_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role, os.Args[1:]); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testenv.Main(m)
}

// play says on standard output that it is ready, and waits to be killed.
func play(role string, args []string) error {
	switch role {
	case "lock":
		if _, err := embedded.LockDir(args[0]); err != nil {
			return err
		}
		fmt.Println("locked")
	case "supervise", "supervise-carelessly":
		cfg := embedded.TemporalConfig{CLI: args[0], Dir: args[1], NoUI: true}
		if role == "supervise-carelessly" {
			embedded.OutliveParent(&cfg)
		}
		server, err := embedded.StartTemporal(context.Background(), cfg)
		if err != nil {
			return err
		}
		fmt.Println(server.Pid())
	}
	select {}
}

// start runs the test binary in a role and returns its first line.
func start(t *testing.T, role string, args ...string) (cmd *exec.Cmd, firstLine string) {
	t.Helper()
	cmd = exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return cmd, strings.TrimSpace(line)
}
