package embedded

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// tighten takes from other users what they may do in the data folder: what is kept there is the databases, mails and Temporal's history.
// A group that may write keeps its access where all others may not write: containers run an image as any user of group 0. A folder that is
// not ours to change, or that has been used for other things, is refused while others have access to it.
func tighten(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at data folder %s: %w", dir, err)
	}
	perm, keep := info.Mode().Perm(), fs.FileMode(0o700)
	if perm&0o022 == 0o020 {
		keep = 0o770
	}
	if perm&^keep == 0 {
		return nil
	}
	ours, err := isOurs(dir)
	if err == nil && ours && info.Mode()&fs.ModeSticky == 0 {
		if err = os.Chmod(dir, info.Mode()&^(perm&^keep)); err == nil {
			return nil
		}
	}
	why := "is used for other things, too"
	if err != nil {
		why = "can't be changed by this user"
	}
	return fmt.Errorf("data folder %s is open to other users (mode %04o) and %s: run chmod %04o %s, or name a folder inside it with --data or "+
		"ORDERLY_DATA, which is then made for this user alone", dir, perm, why, keep, dir)
}

// isOurs reports whether the folder is empty or has been a data folder before: it has our lock or a database.
func isOurs(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	return len(entries) == 0 || slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return e.Name() == "lock" || filepath.Ext(e.Name()) == ".db"
	}), err
}
