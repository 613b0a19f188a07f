package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/sqlite"
)

func modeOf(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return fmt.Sprintf("%04o", info.Mode().Perm())
}

// Each case is a folder's rights, those of a file that is there already (0 for none), and what the file and its journals have afterwards.
func TestFilesAreForTheirUserAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		folder, before os.FileMode
		after          string
	}{
		{0o700, 0, "0600"},
		{0o755, 0, "0600"},
		{0o777, 0, "0600"},
		{0o770, 0, "0660"},
		{0o775, 0, "0660"},
		{0o755, 0o644, "0600"},
		{0o755, 0o666, "0600"},
		{0o770, 0o666, "0660"},
		{0o770, 0o640, "0640"},
		{0o700, 0o600, "0600"},
	} {
		t.Run(fmt.Sprintf("folder %04o file %04o", c.folder, c.before), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.Chmod(dir, c.folder))
			path := filepath.Join(dir, "orders.db")
			if c.before != 0 {
				for _, name := range []string{path, path + "-wal", path + "-shm"} {
					require.NoError(t, os.WriteFile(name, nil, 0o600))
					require.NoError(t, os.Chmod(name, c.before))
				}
			}
			require.NoError(t, sqlite.MakePrivate(path))
			db := sqlite.Open("file:"+path+"?_pragma=journal_mode(WAL)", nil)
			t.Cleanup(func() { _ = db.Close() })
			_, err := db.ExecContext(t.Context(), `CREATE TABLE things (id INTEGER)`)
			require.NoError(t, err)
			for _, name := range []string{path, path + "-wal", path + "-shm"} {
				require.Equal(t, c.after, modeOf(t, name), name)
			}
			require.NoError(t, sqlite.MakePrivate(path), "it is there and open")
		})
	}
}
