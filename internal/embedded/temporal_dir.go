package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	_ "modernc.org/sqlite"
)

// maxLogSize is where the server's log starts anew at the next start.
const maxLogSize = 8 << 20

// prepareDir leaves a folder in which a server can start: no other server on its database, and no half-made database.
func (cfg *TemporalConfig) prepareDir(ctx context.Context) error {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return err
	}
	cfg.Dir = dir
	if strings.ContainsAny(dir, "?#%") {
		return errors.New("the server cannot use a folder whose path has ?, # or % in it")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := endOrphan(ctx, cfg.pidFile(), "--db-filename "+cfg.database()+" "); err != nil {
		return err
	}
	return dropHalfMade(ctx, cfg.database())
}

// dropHalfMade removes a database whose making was cut short. The server makes its tables one by one, only where there
// is no file, and the first namespace after them; a file without one would keep every later start from succeeding.
func dropHalfMade(ctx context.Context, path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	var namespaces int
	err = db.QueryRowContext(ctx, "SELECT COUNT(*) FROM namespaces").Scan(&namespaces)
	if closeErr := db.Close(); closeErr != nil {
		return closeErr
	}
	if err != nil && !strings.Contains(err.Error(), "no such table") {
		return fmt.Errorf("look into %s: %w", path, err)
	}
	if namespaces > 0 {
		return nil
	}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// openLog opens the log for appending. A server without a folder gets a file without a name.
func (cfg TemporalConfig) openLog() (*os.File, error) {
	path := cfg.LogPath
	if path == "" && cfg.Dir == "" {
		log, err := os.CreateTemp("", "temporal-*.log")
		if err != nil {
			return nil, err
		}
		return log, os.Remove(log.Name())
	}
	if path == "" {
		path = filepath.Join(cfg.Dir, "temporal.log")
	}
	flags := os.O_RDWR | os.O_CREATE | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > maxLogSize {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o600)
}

// portTakenError is an address that was asked for and that another process has.
type portTakenError struct {
	what, addr, setting string
	cause               error
}

func (e portTakenError) Error() string {
	text := fmt.Sprintf("the address %s for %s is taken: %v", e.addr, e.what, e.cause)
	if e.setting != "" {
		text += "; choose another port with " + e.setting
	}
	return text
}

func (e portTakenError) Unwrap() error { return e.cause }

// choosePort returns a port that was free a moment ago: the one asked for, or any.
func choosePort(ip string, port int, what, setting string) (int, error) {
	addr := net.JoinHostPort(ip, strconv.Itoa(port))
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return 0, portTakenError{what: what, addr: addr, setting: setting, cause: errors.Unwrap(err)}
	}
	defer listener.Close()
	if port != 0 {
		return port, nil
	}
	if runtime.GOOS == "linux" {
		// A connection closed from this side keeps Linux from handing out the port again for a minute, while a server
		// that asks for it by number still gets it.
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			return 0, fmt.Errorf("reserve a free port for %s: %w", what, err)
		}
		defer client.Close()
		if conn, err := listener.Accept(); err == nil {
			conn.Close()
		}
	}
	return listener.Addr().(*net.TCPAddr).Port, nil
}
