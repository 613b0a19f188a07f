package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// DirLock is the right to use a data folder. It ends with Unlock or with the process, however that ends.
type DirLock struct {
	file *os.File
}

// LockDir creates the folder if it is not there, readable by this user only, and takes it for this process. One that is there loses what it
// gives to other users (tighten). Where another process has it, the error is one line that names the folder, that process and the way out.
func LockDir(dir string) (*DirLock, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find data folder %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data folder %s: %w", dir, err)
	}
	if err := tighten(dir); err != nil {
		return nil, err
	}
	file, taken, err := tryLock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	if !taken {
		defer file.Close()
		return nil, fmt.Errorf("data folder %s is in use by process %s: stop that one, or choose another folder with --data or ORDERLY_DATA",
			dir, holder(file))
	}
	if err := errors.Join(file.Truncate(0), writePid(file)); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	return &DirLock{file: file}, nil
}

// Unlock gives the folder back. The lock file stays: removing it would let two processes lock two files of one name.
// Safe to call more than once.
func (l *DirLock) Unlock() error {
	raw, err := l.file.SyscallConn()
	if errors.Is(err, os.ErrInvalid) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	var unlocked error
	if err == nil {
		// Closing alone would leave the lock to a child that is being started just now: it has the file until it runs its program.
		err = raw.Control(func(fd uintptr) { unlocked = syscall.Flock(int(fd), syscall.LOCK_UN) })
	}
	if err = errors.Join(err, unlocked, l.file.Close()); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("unlock data folder: %w", err)
	}
	return nil
}

// tryLock opens the file and tries to lock it. The file is returned in either case; closing it ends the lock, unless a
// child process has inherited it, which then holds the lock until it ends.
func tryLock(path string) (file *os.File, taken bool, err error) {
	file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return file, false, nil
	}
	if err != nil {
		file.Close()
		return nil, false, err
	}
	return file, true, nil
}

func writePid(file *os.File) error {
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder reads the pid that the process with the lock has written; it may not have done so yet.
func holder(file *os.File) string {
	b, err := io.ReadAll(io.LimitReader(file, 32))
	if pid := strings.TrimSpace(string(b)); err == nil && pid != "" {
		return pid
	}
	return "unknown"
}
