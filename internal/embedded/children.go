package embedded

import (
	"errors"
	"os/exec"
	"sync"
	"syscall"
)

// children are the process groups that this process has started and not waited for yet, by the id of their first process.
var children = struct {
	sync.Mutex
	groups map[int]bool
	ended  bool
}{groups: map[int]bool{}}

// startChild starts a command that has a process group of its own.
func startChild(cmd *exec.Cmd) error {
	children.Lock()
	defer children.Unlock()
	if children.ended {
		return errors.New("this process is ending")
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	children.groups[cmd.Process.Pid] = true
	return nil
}

// waitChild waits for what startChild has started.
func waitChild(cmd *exec.Cmd) error {
	err := cmd.Wait()
	children.Lock()
	defer children.Unlock()
	delete(children.groups, cmd.Process.Pid)
	return err
}

// KillChildren ends all children of this process at once, with their own children, and lets none be started any more. It is for a process
// that ends without waiting for its parts: what they hold on disk survives it.
func KillChildren() {
	children.Lock()
	defer children.Unlock()
	children.ended = true
	for pid := range children.groups {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}
