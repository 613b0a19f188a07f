package embedded_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/embedded"
)

func TestLockDir(t *testing.T) {
	t.Parallel()

	t.Run("the folder is made for this user only, and given back", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "made", "here")
		lock, err := embedded.LockDir(dir)
		require.NoError(t, err)
		info, err := os.Stat(dir)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
		require.NoError(t, lock.Unlock())
		require.NoError(t, lock.Unlock())

		again, err := embedded.LockDir(dir)
		require.NoError(t, err)
		require.NoError(t, again.Unlock())
	})

	t.Run("a folder in use is refused by one line, until its holder is killed", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		holder, said := start(t, "lock", dir)
		require.Equal(t, "locked", said)

		_, err := embedded.LockDir(dir)
		require.EqualError(t, err, "data folder "+dir+" is in use by process "+strconv.Itoa(holder.Process.Pid)+
			": stop that one, or choose another folder with --data or ORDERLY_DATA")

		require.NoError(t, holder.Process.Kill())
		require.Eventually(t, func() bool {
			lock, err := embedded.LockDir(dir)
			return err == nil && lock.Unlock() == nil
		}, 10*time.Second, 10*time.Millisecond)
	})
}
