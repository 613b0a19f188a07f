package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// TemporalCLIVersion is obtained where no CLI is installed. It is the newest release that `go install` accepts.
const TemporalCLIVersion = "1.5.1"

// remedies ends every error of TemporalCLI that has no single culprit.
const remedies = "set TEMPORAL_CLI to a Temporal CLI, or put `temporal` on PATH, or install Go (https://go.dev/dl) so that " +
	"it can be built, or set TEMPORAL_ADDRESS to a Temporal server that is already there, or run `orderly temporal get` " +
	"to see the whole attempt"

// CLIOptions are read by TemporalCLI. The zero value is silent and stops its build when the context ends.
type CLIOptions struct {
	// Say is told, in one plain line each, what is about to take long.
	Say func(line string)
	// Detach leaves a build that has begun running when the context ends, also beyond the end of this process, so that a
	// later call finds it finished.
	Detach bool
}

// TemporalCLI returns the path of a Temporal CLI: the one TEMPORAL_CLI names, else `temporal` on PATH, else the one in
// the user's cache folder, which is obtained first if it is not there: downloaded within a minute, or built by the Go
// toolchain within several. However many processes need it at once, one obtains it and the others wait for that one.
//
// When it fails, the error names every way out. When the context ends, nothing half made is left behind.
func TemporalCLI(ctx context.Context, opts CLIOptions) (string, error) {
	if opts.Say == nil {
		opts.Say = func(string) {}
	}
	source := cliSource{
		CLIOptions: opts,
		getenv:     os.Getenv,
		lookPath:   exec.LookPath,
		cacheDir:   os.UserCacheDir,
		download:   downloadCLI,
	}
	return source.find(ctx)
}

// cliSource is where a CLI can come from on this machine.
type cliSource struct {
	CLIOptions
	getenv   func(string) string
	lookPath func(string) (string, error)
	cacheDir func() (string, error)
	download func(ctx context.Context, dir string) (string, error)
}

func (s cliSource) find(ctx context.Context) (string, error) {
	if named := s.getenv("TEMPORAL_CLI"); named != "" {
		path, err := exec.LookPath(named)
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err == nil {
			err = answers(path)
		}
		if err != nil {
			return "", fmt.Errorf("TEMPORAL_CLI=%s is not a Temporal CLI that can be run: %w", named, err)
		}
		return path, nil
	}
	if path, err := s.lookPath("temporal"); err == nil {
		if err := answers(path); err == nil {
			return path, nil
		}
		s.Say("The `temporal` on PATH (" + path + ") does not answer as the Temporal CLI does; looking elsewhere.")
	}
	cache, err := s.cacheDir()
	if err != nil {
		return "", fmt.Errorf("no Temporal CLI: find the user's cache folder: %w; %s", err, remedies)
	}
	place := cliPlace{root: filepath.Join(cache, "orderly")}
	if place.filled() {
		return place.binary(), nil
	}
	if err := s.fill(ctx, place); err != nil {
		return "", fmt.Errorf("no Temporal CLI: %w; %s", err, remedies)
	}
	return place.binary(), nil
}

// fill puts the CLI into its place in the cache, under a lock that one process holds at a time.
func (s cliSource) fill(ctx context.Context, place cliPlace) error {
	if err := os.MkdirAll(place.root, 0o755); err != nil {
		return fmt.Errorf("create the cache folder: %w", err)
	}
	lock, err := s.await(ctx, place.lock())
	if err != nil {
		return err
	}
	defer lock.Close()
	if place.filled() {
		return nil
	}
	// A build whose starter went away has finished or died by now: it held the lock as long as it ran.
	if place.adopt(place.built()) == nil {
		return place.clear()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := place.reset(); err != nil {
		return fmt.Errorf("prepare the cache folder: %w", err)
	}

	s.Say("No Temporal CLI on this machine: getting version " + TemporalCLIVersion + ", once, into " + place.root + ".")
	downloaded, downloadErr := s.download(ctx, place.work())
	if downloadErr == nil {
		downloadErr = place.adopt(downloaded)
	}
	if downloadErr == nil {
		return place.clear()
	}
	err = s.build(ctx, place, lock)
	if errors.Is(err, errBuildGoesOn) {
		return err
	}
	if err == nil {
		err = place.adopt(place.built())
	}
	if err != nil {
		_ = place.clear() // the next attempt clears first, too
		return fmt.Errorf("download it: %w; build it: %w", downloadErr, err)
	}
	return place.clear()
}

// await returns the locked file once no other process is obtaining the CLI.
func (s cliSource) await(ctx context.Context, path string) (*os.File, error) {
	retry := time.NewTicker(200 * time.Millisecond)
	defer retry.Stop()
	for told := false; ; {
		lock, taken, err := tryLock(path)
		if err != nil {
			return nil, fmt.Errorf("lock the cache folder: %w", err)
		}
		if taken {
			return lock, nil
		}
		lock.Close()
		if !told {
			s.Say("Another process is getting the Temporal CLI; waiting for it, which can take minutes.")
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another process that is getting it: %w", context.Cause(ctx))
		case <-retry.C:
		}
	}
}

// cliPlace names the files of one version of the CLI in the cache.
type cliPlace struct{ root string }

func (p cliPlace) name() string   { return filepath.Join(p.root, "temporal-cli-"+TemporalCLIVersion) }
func (p cliPlace) binary() string { return filepath.Join(p.name(), "temporal") }
func (p cliPlace) lock() string   { return p.name() + ".lock" }
func (p cliPlace) work() string   { return p.name() + ".building" }
func (p cliPlace) built() string  { return filepath.Join(p.work(), "bin", "temporal") }
func (p cliPlace) temp() string   { return filepath.Join(p.work(), "tmp") }

// filled trusts the file because only adopt puts one there.
func (p cliPlace) filled() bool {
	_, err := exec.LookPath(p.binary())
	return err == nil
}

// adopt moves a CLI that runs into its place, in one step.
func (p cliPlace) adopt(path string) error {
	if err := answers(path); err != nil {
		return err
	}
	if err := os.MkdirAll(p.name(), 0o755); err != nil {
		return err
	}
	return os.Rename(path, p.binary())
}

func (p cliPlace) reset() error {
	if err := p.clear(); err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(p.built()), 0o755), os.MkdirAll(p.temp(), 0o755))
}

// clear tries again, because the last grandchild of a killed build may just be writing its last file.
func (p cliPlace) clear() error {
	var err error
	for range 10 {
		if err = os.RemoveAll(p.work()); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// answers reports whether the file is a Temporal CLI that runs on this machine. It takes a moment, so it has no context:
// a caller whose time is up must not throw away minutes of work, or take a good CLI for a bad one.
func answers(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return fmt.Errorf("ask %s for its version: %w", path, err)
	}
	if !strings.HasPrefix(string(out), "temporal version ") {
		return fmt.Errorf("ask %s for its version: it answered %.60q", path, out)
	}
	return nil
}
