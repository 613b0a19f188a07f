package embedded

import (
	"context"
	"errors"
	"io/fs"
	"os/exec"
)

// FakeMachine is a machine on which TemporalCLI can be tried: nothing is installed but what the fields say.
type FakeMachine struct {
	TemporalCLI  string            // the environment variable
	Path         map[string]string // what is on PATH
	Cache        string
	DownloadFrom string // a file the download finds; empty refuses it
}

func (m FakeMachine) Find(ctx context.Context, opts CLIOptions) (string, error) {
	if opts.Say == nil {
		opts.Say = func(string) {}
	}
	return cliSource{
		CLIOptions: opts,
		getenv:     func(string) string { return m.TemporalCLI },
		lookPath: func(name string) (string, error) {
			if path, ok := m.Path[name]; ok {
				return path, nil
			}
			return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
		},
		cacheDir: func() (string, error) {
			if m.Cache == "" {
				return "", errors.New("$HOME is not defined")
			}
			return m.Cache, nil
		},
		download: func(_ context.Context, dir string) (string, error) {
			if m.DownloadFrom == "" {
				return "", fs.ErrPermission
			}
			path := dir + "/temporal"
			return path, exec.Command("cp", m.DownloadFrom, path).Run()
		},
	}.find(ctx)
}

// DownloadCLI is the real download; it needs the network, unless the file is in dir already.
var DownloadCLI = downloadCLI

// OutliveParent makes the server an orphan when this process is killed, as it would be where the kernel offers nothing.
func OutliveParent(cfg *TemporalConfig) { cfg.outliveParent = true }

// Pid is the server's.
func (t *Temporal) Pid() int { return t.pid }

var (
	StartedAt    = startedAt
	CommandLine  = commandLine
	WritePidFile = writePidFile
	DropHalfMade = dropHalfMade
	EndOrphan    = endOrphan
)
