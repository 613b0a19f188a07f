package embedded

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// dieWithParent has the kernel kill the child when the thread that started it ends. The caller keeps that thread alive.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// startedAt is when the process began, in clock ticks since boot, or "" if there is none.
func startedAt(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The second field is a name in brackets that may hold anything; the rest starts at the third field.
	rest := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(rest) < 20 {
		return ""
	}
	return rest[19]
}

// commandLine is the arguments with a blank after each, or "" if the process is gone or only waits to be reaped.
func commandLine(pid int) string {
	args, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(string(args), "\x00", " ")
}
