package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// MakePrivate makes the file at path for its user alone (0600), or takes from all others what they may do with the one that is there and with
// its journals. SQLite itself makes files that everyone may read, and journals with the rights of their file. In a folder that its group may
// write to and all others may not, the group is given the file, too: containers run an image as any user of group 0. The file may be another
// user's; then its rights stay as they are.
func MakePrivate(path string) error {
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o600)
	if folder.Mode().Perm()&0o022 == 0o020 {
		mode = 0o660
	}
	made, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err == nil {
		return errors.Join(made.Chmod(mode), made.Close())
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && info.Mode().Perm()&^mode != 0 {
			err = os.Chmod(name, info.Mode().Perm()&mode)
		}
		if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
