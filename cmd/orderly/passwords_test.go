package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a user has written into .env stays, and the passwords that it lacks are added.
func TestPasswordsAreAddedWhereThereAreNone(t *testing.T) {
	t.Parallel()
	_, task, found := strings.Cut(readText(t, "../../Taskfile.yml"), "\n  env:\n")
	require.True(t, found)
	_, script, found := strings.Cut(task, "    cmd: |\n")
	require.True(t, found)
	script, _, found = strings.Cut(script, "\n\n")
	require.True(t, found)
	const database, broker = `POSTGRES_PASSWORD=[0-9a-f]{32}\n`, `RABBITMQ_PASSWORD=[0-9a-f]{32}\n`
	for name, c := range map[string]struct{ before, after string }{
		"no file":           {"", database + broker},
		"another variable":  {"PUBLISH_API_PORT=18080\n", `PUBLISH_API_PORT=18080\n` + database + broker},
		"no newline at end": {"PUBLISH_API_PORT=18080", `PUBLISH_API_PORT=18080\n` + database + broker},
		"one is there":      {"RABBITMQ_PASSWORD=mine\n", `RABBITMQ_PASSWORD=mine\n` + database},
		"one is empty":      {"POSTGRES_PASSWORD=\n", `POSTGRES_PASSWORD=\n` + database + broker},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), ".env")
			if c.before != "" {
				require.NoError(t, os.WriteFile(file, []byte(c.before), 0o644))
			}
			run := func() string {
				shell := exec.Command("sh", "-c", script)
				shell.Dir = filepath.Dir(file)
				said, err := shell.CombinedOutput()
				require.NoError(t, err, string(said))
				info, err := os.Stat(file)
				require.NoError(t, err)
				require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
				return readText(t, file)
			}
			made := run()
			require.Regexp(t, `\A`+c.after+`\z`, made)
			require.Equal(t, made, run(), "a password that was there was replaced")
		})
	}
}
