package main

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// Operators are looked after on the command line, with the users database alone.
func TestOperators(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env = append(w.env, "ORDERLY_DATA="+w.data)
	run := func(args ...string) string {
		t.Helper()
		said, code := w.command(append([]string{"operators"}, args...)...)
		require.Zero(t, code, said)
		return said
	}
	refused := func(says string, args ...string) {
		t.Helper()
		said, code := w.command(append([]string{"operators"}, args...)...)
		require.Equal(t, 1, code, said)
		require.Contains(t, said, says)
	}
	refused("run orderly dev first", "list")
	said, code := w.command("migrate")
	require.Zero(t, code, said)

	temporary := regexp.MustCompile(`\n    ([A-Z2-7]{26})\n`)
	added := run("add", "Ada@Example.com", "--role", "admin", "--name", "Ada Lovelace")
	require.Contains(t, added, "Added ada@example.com (admin).")
	require.Regexp(t, temporary, added)
	require.Contains(t, run("add", "bob@example.com"), "Added bob@example.com (operator).")
	refused("there is an operator with the address ada@example.com already", "add", "ada@example.com")
	refused("this is not an email address", "add", "ada")
	refused("a role is operator or admin", "add", "eve@example.com", "--role", "customer")

	listed := run("list")
	require.Regexp(t, `ada@example\.com +Ada Lovelace +admin +\S+ +to be set up by`, listed)
	require.Regexp(t, `bob@example\.com +bob +operator`, listed)

	reset := run("reset", "ada@example.com")
	require.NotEqual(t, temporary.FindString(added), temporary.FindString(reset))
	refused("ada@example.com is the only admin", "remove", "ada@example.com")
	require.Contains(t, run("remove", "bob@example.com"), "Removed bob@example.com.")
	refused("there is no such operator", "remove", "bob@example.com")
	refused("there is no such operator", "reset", "bob@example.com")
	run("remove", "ada@example.com", "--force")
	require.NotContains(t, run("list"), "@")
}
