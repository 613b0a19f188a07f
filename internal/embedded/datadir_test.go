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

	t.Run("a folder that is there loses what it gives to other users", func(t *testing.T) {
		t.Parallel()
		for before, after := range map[os.FileMode]os.FileMode{
			0o755: 0o700, 0o750: 0o700, 0o777: 0o700, 0o700: 0o700, 0o770: 0o770, 0o775: 0o770, os.ModeSetgid | 0o775: os.ModeSetgid | 0o770,
		} {
			for _, used := range []bool{false, true} {
				dir := t.TempDir()
				if used {
					require.NoError(t, os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600))
					require.NoError(t, os.WriteFile(filepath.Join(dir, "orders.db"), nil, 0o600))
				}
				require.NoError(t, os.Chmod(dir, before))
				lock, err := embedded.LockDir(dir)
				require.NoError(t, err)
				info, err := os.Stat(dir)
				require.NoError(t, err)
				require.Equal(t, after, info.Mode()&^os.ModeDir, before.String())
				require.NoError(t, lock.Unlock())
			}
		}
	})

	t.Run("a folder of other things that is open to other users is left alone and refused by one line", func(t *testing.T) {
		t.Parallel()
		for _, mode := range []os.FileMode{0o755, os.ModeSticky | 0o777} {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600))
			require.NoError(t, os.Chmod(dir, mode))
			_, err := embedded.LockDir(dir)
			require.ErrorContains(t, err, "data folder "+dir+" is open to other users")
			require.ErrorContains(t, err, "chmod 0700 "+dir)
			require.ErrorContains(t, err, "ORDERLY_DATA")
			info, err := os.Stat(dir)
			require.NoError(t, err)
			require.Equal(t, mode, info.Mode()&^os.ModeDir)

			require.NoError(t, os.Chmod(dir, 0o700))
			lock, err := embedded.LockDir(dir)
			require.NoError(t, err)
			require.NoError(t, lock.Unlock())
		}
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
