package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// building is orderly dev on a machine without a Temporal CLI, while the Go toolchain builds one: a stand-in for it, which waits in a child
// of its own. All of it has the data folder on its command lines.
func (w *world) building() *process {
	w.t.Helper()
	cache, bin := w.t.TempDir(), filepath.Join(w.data, "bin")
	require.NoError(w.t, os.Chmod(w.data, 0o700)) // a folder that holds other things, too, is not made so by Orderly
	require.NoError(w.t, os.MkdirAll(bin, 0o755))
	require.NoError(w.t, os.WriteFile(filepath.Join(cache, "hold"), nil, 0o600))
	toolchain, err := filepath.Abs("../../internal/embedded/testdata/fakego/go")
	require.NoError(w.t, err)
	require.NoError(w.t, os.Symlink(toolchain, filepath.Join(bin, "go")))
	for _, name := range []string{"sh", "dirname", "sleep", "cp", "mv"} {
		path, err := exec.LookPath(name)
		require.NoError(w.t, err)
		require.NoError(w.t, os.Symlink(path, filepath.Join(bin, name)))
	}
	own := *w
	own.env = nil
	for _, set := range w.env {
		if !strings.HasPrefix(set, "TEMPORAL_CLI=") && !strings.HasPrefix(set, "PATH=") {
			own.env = append(own.env, set)
		}
	}
	// No download is tried beyond this machine.
	own.env = append(own.env, "PATH="+bin, "XDG_CACHE_HOME="+cache, "HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1", "NO_PROXY=")
	p := own.launch("dev", "--data", w.data)
	eventually(w.t, time.Minute, "the CLI is not being built", func() bool {
		return strings.Contains(p.printed(), "built from source") && len(w.processes()) >= 3
	})
	return p
}

func TestNoChildOutlivesASecondSignal(t *testing.T) {
	t.Parallel()
	for name, signals := range map[string][]syscall.Signal{
		"one SIGTERM":           {syscall.SIGTERM},
		"two at once":           {syscall.SIGTERM, syscall.SIGTERM},
		"a ^C and a SIGTERM":    {syscall.SIGINT, syscall.SIGTERM},
		"as many as there come": {syscall.SIGTERM, syscall.SIGTERM, syscall.SIGTERM, syscall.SIGTERM, syscall.SIGTERM, syscall.SIGTERM},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.building()
			for _, signal := range signals {
				_ = p.cmd.Process.Signal(signal) // it may have ended
			}
			p.wait(20 * time.Second)
			eventually(t, 5*time.Second, "children go on", func() bool { return len(w.processes()) == 0 })
		})
	}
}

// A second signal while everything runs ends Temporal's server, too.
func TestASecondSignalEndsTheTemporalServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start()
	require.GreaterOrEqual(t, len(w.processes()), 2)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	p.wait(20 * time.Second)
	eventually(t, 5*time.Second, "the server goes on", func() bool { return len(w.processes()) == 0 })
}
