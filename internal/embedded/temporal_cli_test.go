package embedded_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/embedded"
	"example.com/orderly/internal/testenv"
)

func TestTemporalCLIOrder(t *testing.T) {
	t.Parallel()
	fake, broken, goTool := testdata(t, "temporal"), testdata(t, "broken"), testdata(t, "go")
	plain := filepath.Join(t.TempDir(), "not-executable")
	require.NoError(t, os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o600))
	const inCache = "orderly/temporal-cli-" + embedded.TemporalCLIVersion + "/temporal"
	remedies := []string{"TEMPORAL_CLI", "PATH", "install Go", "TEMPORAL_ADDRESS", "orderly temporal get"}

	for name, test := range map[string]struct {
		machine embedded.FakeMachine
		noCache bool
		cached  bool
		want    string // relative to the cache where it is not absolute
		wantErr []string
	}{
		"the named one comes first": {
			machine: embedded.FakeMachine{TemporalCLI: fake, Path: map[string]string{"temporal": broken}},
			cached:  true, want: fake,
		},
		"a named one that is not there is an error": {
			machine: embedded.FakeMachine{TemporalCLI: "/nowhere/temporal", Path: map[string]string{"temporal": fake}},
			wantErr: []string{"TEMPORAL_CLI=/nowhere/temporal", "no such file"},
		},
		"a named one that is not executable is an error": {
			machine: embedded.FakeMachine{TemporalCLI: plain, Path: map[string]string{"temporal": fake}},
			wantErr: []string{"TEMPORAL_CLI=" + plain, "permission denied"},
		},
		"a named one that is something else is an error": {
			machine: embedded.FakeMachine{TemporalCLI: broken, Path: map[string]string{"temporal": fake}},
			wantErr: []string{"TEMPORAL_CLI=" + broken, "who is there?"},
		},
		"the one on PATH comes second": {
			machine: embedded.FakeMachine{Path: map[string]string{"temporal": fake}},
			cached:  true, want: fake,
		},
		"one on PATH needs no cache folder": {
			machine: embedded.FakeMachine{Path: map[string]string{"temporal": fake}},
			noCache: true, want: fake,
		},
		"one on PATH that is something else is passed over": {
			machine: embedded.FakeMachine{Path: map[string]string{"temporal": broken}},
			cached:  true, want: inCache,
		},
		"the cached one comes third":                {cached: true, want: inCache},
		"it is downloaded where none is":            {machine: embedded.FakeMachine{DownloadFrom: fake}, want: inCache},
		"it is built where the download is refused": {machine: embedded.FakeMachine{Path: map[string]string{"go": goTool}}, want: inCache},
		"it is built where the download is something else": {
			machine: embedded.FakeMachine{DownloadFrom: broken, Path: map[string]string{"go": goTool}},
			want:    inCache,
		},
		"without a download and without Go every remedy is named": {
			wantErr: append(remedies, "permission denied", "no `go` on PATH"),
		},
		"without a cache folder every remedy is named": {
			noCache: true, wantErr: append(remedies, "$HOME is not defined"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !test.noCache {
				test.machine.Cache = t.TempDir()
			}
			if test.cached {
				cached := filepath.Join(test.machine.Cache, inCache)
				require.NoError(t, os.MkdirAll(filepath.Dir(cached), 0o755))
				require.NoError(t, os.Symlink(fake, cached))
			}
			got, err := test.machine.Find(context.Background(), embedded.CLIOptions{})
			if test.wantErr != nil {
				for _, part := range test.wantErr {
					require.ErrorContains(t, err, part)
				}
				require.NotContains(t, err.Error(), "\n", "an error is one line")
				return
			}
			require.NoError(t, err)
			want := test.want
			if !filepath.IsAbs(want) {
				want = filepath.Join(test.machine.Cache, want)
			}
			require.Equal(t, want, got)
			version, err := exec.Command(got, "--version").Output()
			require.NoError(t, err)
			require.Contains(t, string(version), "FAKE")
			require.NoDirExists(t, workDir(test.machine))
		})
	}
}

func TestTemporalCLIBuild(t *testing.T) {
	t.Parallel()

	t.Run("two that need it at once build it once", func(t *testing.T) {
		t.Parallel()
		machine := machineWithGo(t, "hold")
		var said lines
		var paths [2]string
		var errs [2]error
		var wait sync.WaitGroup
		for i := range paths {
			wait.Go(func() {
				paths[i], errs[i] = machine.Find(context.Background(), embedded.CLIOptions{Say: said.add})
			})
		}
		require.Eventually(t, func() bool { return said.has("Another process") && calls(machine) == 1 }, 10*time.Second, 5*time.Millisecond)
		release(t, machine, "hold")
		wait.Wait()
		require.NoError(t, errs[0])
		require.NoError(t, errs[1])
		require.Equal(t, paths[0], paths[1])
		require.Equal(t, 1, calls(machine))
		require.True(t, said.has("takes from two to ten minutes"))
	})

	t.Run("an interrupted build is ended and leaves nothing", func(t *testing.T) {
		t.Parallel()
		machine := machineWithGo(t, "hold")
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() {
			_, err := machine.Find(ctx, embedded.CLIOptions{})
			ended <- err
		}()
		require.Eventually(t, func() bool { return calls(machine) == 1 }, 10*time.Second, 5*time.Millisecond)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		require.NoDirExists(t, workDir(machine))

		// No child is left, for it would hold the lock, and the next attempt would not begin.
		go func() {
			_, err := machine.Find(context.Background(), embedded.CLIOptions{})
			ended <- err
		}()
		require.Eventually(t, func() bool { return calls(machine) == 2 }, 10*time.Second, 5*time.Millisecond)
		release(t, machine, "hold")
		require.NoError(t, <-ended)
	})

	t.Run("a detached build goes on and is found finished", func(t *testing.T) {
		t.Parallel()
		machine := machineWithGo(t, "hold")
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() {
			_, err := machine.Find(ctx, embedded.CLIOptions{Detach: true})
			ended <- err
		}()
		require.Eventually(t, func() bool { return calls(machine) == 1 }, 10*time.Second, 5*time.Millisecond)
		cancel()
		require.ErrorContains(t, <-ended, "the build goes on by itself")

		// It still holds the lock, so another one waits for it.
		short, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_, err := machine.Find(short, embedded.CLIOptions{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 1, calls(machine))

		release(t, machine, "hold")
		path, err := machine.Find(context.Background(), embedded.CLIOptions{})
		require.NoError(t, err)
		require.FileExists(t, path)
		require.Equal(t, 1, calls(machine), "the finished build is taken, not made again")
		require.NoDirExists(t, workDir(machine))
	})

	t.Run("a failed build says what the toolchain said and is tried again", func(t *testing.T) {
		t.Parallel()
		machine := machineWithGo(t, "fail")
		_, err := machine.Find(context.Background(), embedded.CLIOptions{})
		require.ErrorContains(t, err, "cannot reach the module proxy")
		require.ErrorContains(t, err, "TEMPORAL_ADDRESS")
		require.NoDirExists(t, workDir(machine))

		release(t, machine, "fail")
		_, err = machine.Find(context.Background(), embedded.CLIOptions{})
		require.NoError(t, err)
		require.Equal(t, 2, calls(machine))
	})
}

// The SDK starts what it downloaded; nothing of that may go on.
func TestDownloadLeavesNoServer(t *testing.T) {
	t.Parallel()
	cli, dir := testenv.TemporalCLI(t), t.TempDir()
	there := filepath.Join(dir, "temporal-cli-v"+embedded.TemporalCLIVersion)
	require.NoError(t, os.Symlink(cli, there))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	path, err := embedded.DownloadCLI(ctx, dir)
	require.NoError(t, err)
	require.Equal(t, there, path)
	processes, err := exec.Command("ps", "-axww", "-o", "command").Output()
	if err != nil {
		t.Skipf("not checked: this needs ps: %v", err)
	}
	require.NotContains(t, string(processes), there)
}

func testdata(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", "fakego", name))
	require.NoError(t, err)
	return path
}

func machineWithGo(t *testing.T, marker string) embedded.FakeMachine {
	t.Helper()
	machine := embedded.FakeMachine{Cache: t.TempDir(), Path: map[string]string{"go": testdata(t, "go")}}
	require.NoError(t, os.WriteFile(filepath.Join(machine.Cache, marker), nil, 0o600))
	return machine
}

func release(t *testing.T, machine embedded.FakeMachine, marker string) {
	t.Helper()
	require.NoError(t, os.Remove(filepath.Join(machine.Cache, marker)))
}

func calls(machine embedded.FakeMachine) int {
	b, err := os.ReadFile(filepath.Join(machine.Cache, "calls"))
	if err != nil {
		return 0
	}
	return strings.Count(string(b), "install -ldflags=-s -w github.com/temporalio/cli/cmd/temporal@v"+embedded.TemporalCLIVersion)
}

func workDir(machine embedded.FakeMachine) string {
	return filepath.Join(machine.Cache, "orderly", "temporal-cli-"+embedded.TemporalCLIVersion+".building")
}

// lines collects what was said.
type lines struct {
	sync.Mutex
	said []string
}

func (l *lines) add(line string) {
	l.Lock()
	defer l.Unlock()
	l.said = append(l.said, line)
}

func (l *lines) has(part string) bool {
	l.Lock()
	defer l.Unlock()
	return strings.Contains(strings.Join(l.said, "\n"), part)
}
