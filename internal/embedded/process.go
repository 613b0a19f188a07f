package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A pid file says which process was started: its pid, and when it began, because a pid is used again.

func writePidFile(path string, pid int) error {
	line := strconv.Itoa(pid) + " " + startedAt(pid) + "\n"
	part := path + ".part"
	if err := os.WriteFile(part, []byte(line), 0o600); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// endOrphan ends the process the file names, if it still runs, began at the recorded time and has the mark in its
// command line; any other process of that pid is not ours. It returns when that process is gone, and removes the file.
func endOrphan(ctx context.Context, pidFile, mark string) error {
	line, err := os.ReadFile(pidFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	recorded, began, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
	pid, err := strconv.Atoi(recorded)
	ours := func() bool {
		return startedAt(pid) == began && strings.Contains(commandLine(pid), mark)
	}
	if err == nil && pid > 1 && ours() {
		if err := endGroup(ctx, pid, ours); err != nil {
			return fmt.Errorf("end process %d, left by an earlier run: %w", pid, err)
		}
	}
	return os.Remove(pidFile)
}

// endGroup sends SIGKILL and no SIGTERM before it: the process that left the group behind was killed in the same way, and what the
// group keeps on disk survives that.
func endGroup(ctx context.Context, pid int, running func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for running() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
	}
	return nil
}
