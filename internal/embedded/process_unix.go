//go:build unix && !linux

package embedded

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// dieWithParent has no counterpart here: a child that outlives its parent is ended at the next start.
func dieWithParent(*syscall.SysProcAttr) {}

// startedAt is when the process began, or "" if there is none.
func startedAt(pid int) string { return ps("lstart=", pid) }

// commandLine is the arguments with a blank after each, or "" if the process is gone.
func commandLine(pid int) string { return ps("command=", pid) + " " }

func ps(column string, pid int) string {
	out, err := exec.Command("ps", "-ww", "-o", column, "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
