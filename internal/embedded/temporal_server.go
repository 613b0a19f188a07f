package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	temporalStartTimeout = 60 * time.Second
	temporalStopGrace    = 10 * time.Second
)

// TemporalConfig says which development server to start. Only CLI must be set.
type TemporalConfig struct {
	CLI string // path of the Temporal CLI
	Dir string // folder of the database, the log and the pid file; empty keeps everything in memory
	IP  string // default 127.0.0.1

	// 0 chooses a free port. The settings say what the user changes to get another port, for the error when it is taken.
	Port, UIPort               int
	PortSetting, UIPortSetting string
	NoUI                       bool

	Namespace        string            // default "default"
	SearchAttributes map[string]string // name to type: Keyword, Text, Int, Double, Bool, Datetime, KeywordList
	DynamicConfig    map[string]string // key to JSON value, beside and over rateLimits
	LogPath          string            // default temporal.log in Dir
	LogLevel         string            // default warn

	outliveParent bool // a test's way to make an orphan
}

// rateLimits lift the server's own ceilings (2400 and 3000 requests a second, made for a shared cluster), which one busy
// process on one machine reaches: without this a load test measures the limiter.
var rateLimits = map[string]string{
	"frontend.rps":               "100000",
	"frontend.namespaceRPS":      "100000",
	"frontend.persistenceMaxQPS": "100000",
	"history.rps":                "100000",
	"history.persistenceMaxQPS":  "100000",
	"matching.rps":               "100000",
	"matching.persistenceMaxQPS": "100000",
	// Visibility queries have their own limit, 100 a second.
	"frontend.namespaceRPS.visibility": "10000",
}

// Temporal is a development server running as a child of this process.
type Temporal struct {
	addr, uiAddr string
	pid          int
	pidFile      string
	stopping     atomic.Bool
	done         chan struct{}
	lastWords    string // the end of the log; set, like err, before done is closed
	err          error
}

// StartTemporal starts the server and returns once workflows can be started on it with every search attribute; it gives
// up after a minute. What the server keeps survives a kill -9 of every process; a power cut may take the last moments.
// A server left in Dir by an earlier run is ended first.
//
// The server ends with this process (on Linux at once, elsewhere at the next start with the same Dir).
func StartTemporal(ctx context.Context, cfg TemporalConfig) (*Temporal, error) {
	cfg.IP = cmp.Or(cfg.IP, "127.0.0.1")
	cfg.Namespace = cmp.Or(cfg.Namespace, "default")
	cfg.LogLevel = cmp.Or(cfg.LogLevel, "warn")
	if cfg.Dir != "" {
		if err := cfg.prepareDir(ctx); err != nil {
			return nil, fmt.Errorf("prepare the temporal server in %s: %w", cfg.Dir, err)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, temporalStartTimeout,
		fmt.Errorf("not ready after %s", temporalStartTimeout))
	defer cancel()
	// The server chooses more ports for itself, and another process may take one in between.
	for attempt := 1; ; attempt++ {
		temporal, err := launch(ctx, cfg)
		if err == nil {
			return temporal, nil
		}
		if attempt == 3 || !strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) || errors.As(err, new(portTakenError)) {
			return nil, err
		}
	}
}

func launch(ctx context.Context, cfg TemporalConfig) (*Temporal, error) {
	port, err := choosePort(cfg.IP, cfg.Port, "Temporal", cfg.PortSetting)
	if err != nil {
		return nil, err
	}
	uiPort := 0
	if !cfg.NoUI {
		if uiPort, err = choosePort(cfg.IP, cfg.UIPort, "the Temporal web UI", cfg.UIPortSetting); err != nil {
			return nil, err
		}
	}
	log, err := cfg.openLog()
	if err != nil {
		return nil, fmt.Errorf("open the temporal server's log: %w", err)
	}

	cmd := exec.Command(cfg.CLI, cfg.arguments(port, uiPort)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "TEMPORAL_") // these are for clients; the CLI would read them as its own settings
	})
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ^C is for this process, which stops the server in its turn
	if !cfg.outliveParent {
		dieWithParent(cmd.SysProcAttr)
	}

	t := &Temporal{addr: net.JoinHostPort(cfg.IP, strconv.Itoa(port)), done: make(chan struct{})}
	if !cfg.NoUI {
		t.uiAddr = net.JoinHostPort(cfg.IP, strconv.Itoa(uiPort))
	}
	if cfg.Dir != "" {
		t.pidFile = cfg.pidFile()
	}
	started := make(chan error)
	go t.run(cmd, log, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start the temporal server: %w", err)
	}
	if err := t.awaitReady(ctx, cfg); err != nil {
		t.stopping.Store(true)
		t.signal(syscall.SIGKILL)
		<-t.done
		return nil, fmt.Errorf("start the temporal server: %w; the end of its log: %s", err, t.lastWords)
	}
	return t, nil
}

// run starts the child and waits for it on one thread, kept for that: the child dies with the thread that started it.
func (t *Temporal) run(cmd *exec.Cmd, log *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := startChild(cmd); err != nil {
		log.Close()
		started <- err
		return
	}
	t.pid = cmd.Process.Pid
	var err error
	if t.pidFile != "" {
		err = writePidFile(t.pidFile, t.pid)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = waitChild(cmd)
		log.Close()
		started <- err
		return
	}
	started <- nil
	_ = waitChild(cmd) // the state says the same
	t.lastWords = lastLines(log, 3)
	log.Close()
	if !t.stopping.Load() {
		t.err = fmt.Errorf("the temporal server ended by itself (%s): %s", cmd.ProcessState, t.lastWords)
	}
	close(t.done)
}

// Addr is host:port of the gRPC frontend.
func (t *Temporal) Addr() string { return t.addr }

// UIAddr is host:port of the web UI, "" without one.
func (t *Temporal) UIAddr() string { return t.uiAddr }

// Done is closed when the server has ended, by Stop or by itself.
func (t *Temporal) Done() <-chan struct{} { return t.done }

// Err says, once Done is closed, why the server ended by itself; nil after Stop.
func (t *Temporal) Err() error {
	select {
	case <-t.done:
		return t.err
	default:
		return nil
	}
}

// Stop asks the server to end and waits for it; after ten seconds, or when the context ends, it is killed. No process is
// left when Stop returns. Safe to call more than once, and after the server ended by itself.
func (t *Temporal) Stop(ctx context.Context) error {
	t.stopping.Store(true)
	t.signal(syscall.SIGTERM)
	grace := time.NewTimer(temporalStopGrace)
	defer grace.Stop()
	select {
	case <-t.done:
	case <-ctx.Done():
	case <-grace.C:
	}
	t.signal(syscall.SIGKILL)
	<-t.done
	if t.pidFile != "" {
		if err := os.Remove(t.pidFile); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove the temporal server's pid file: %w", err)
		}
	}
	return nil
}

func (t *Temporal) signal(signal syscall.Signal) {
	select {
	case <-t.done: // the pid may be that of another process by now
	default:
		_ = syscall.Kill(-t.pid, signal)
	}
}

func (cfg TemporalConfig) arguments(port, uiPort int) []string {
	args := []string{"server", "start-dev"}
	if cfg.Dir != "" {
		args = append(args, "--db-filename", cfg.database(),
			// A write-ahead log starts and runs several times faster, and loses nothing when a process dies.
			"--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL")
	}
	args = append(args, "--ip", cfg.IP, "--port", strconv.Itoa(port), "--namespace", cfg.Namespace,
		"--log-level", cfg.LogLevel, "--color", "never")
	if cfg.NoUI {
		args = append(args, "--headless")
	} else {
		args = append(args, "--ui-port", strconv.Itoa(uiPort))
	}
	values := maps.Clone(rateLimits)
	maps.Copy(values, cfg.DynamicConfig)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		args = append(args, "--dynamic-config-value", key+"="+values[key])
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.SearchAttributes)) {
		args = append(args, "--search-attribute", name+"="+cfg.SearchAttributes[name])
	}
	return args
}

func (cfg TemporalConfig) database() string { return filepath.Join(cfg.Dir, "temporal.db") }
func (cfg TemporalConfig) pidFile() string  { return filepath.Join(cfg.Dir, "temporal.pid") }
