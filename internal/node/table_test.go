package node

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/activities"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/node/config"
)

const root = "../../"

// foundations are the packages below internal/ that bring tables into the databases of services, and own none.
var foundations = []string{"outbox", "step", "system"}

// Each folder with migrations is a service of the table, or a foundation, or in the database of a service of the table, too, as operators are in
// that of users.
func TestEachFolderWithMigrationsIsInTheTable(t *testing.T) {
	t.Parallel()
	found, err := filepath.Glob(root + "internal/*/migrations")
	require.NoError(t, err)
	with := map[string]bool{}
	for _, s := range Services {
		for _, m := range s.Migrations() {
			with[m.Set] = m.Set != s.Name
		}
	}
	var folders []string
	for _, path := range found {
		if name := filepath.Base(filepath.Dir(path)); !slices.Contains(foundations, name) && !with[name] {
			folders = append(folders, name)
		}
	}
	require.ElementsMatch(t, ServiceNames(), folders)
}

func TestEachEntryIsWhole(t *testing.T) {
	t.Parallel()
	names, queues, listeners := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, s := range Services {
		require.False(t, names[s.Name], "two services are called %s", s.Name)
		names[s.Name] = true
		require.NotNil(t, s.open, s.Name)
		require.NotNil(t, s.Migrations, s.Name)
		require.NotEmpty(t, s.Migrations(), s.Name)
		for _, role := range append([]string{s.Role}, append(s.NeededBy, s.ReadBy...)...) {
			require.True(t, roles.Has(role), "%s: there is no role %q", s.Name, role)
		}
		require.NotContains(t, s.ReadBy, s.Role, s.Name)
		if s.Queue != "" {
			require.False(t, queues[s.Queue], "two services share the task queue %s", s.Queue)
			queues[s.Queue] = true
		}
		for _, listener := range s.Listens {
			require.False(t, listeners[listener.Name], "two listeners are called %s: the name is the queue", listener.Name)
			listeners[listener.Name] = true
		}
		// Tables of an outbox or an inbox that nothing relays or works off, and the other way round.
		has := func(set string) bool {
			for _, m := range s.Migrations() {
				if m.Set == set {
					return true
				}
			}
			return false
		}
		require.Equal(t, s.Outbox, has("outbox"), "%s: Outbox and its tables", s.Name)
		require.Equal(t, len(s.Listens) > 0, has("inbox"), "%s: Listens and its tables", s.Name)
		require.Equal(t, s.Queue != "", has("steps"), "%s: Queue and its tables", s.Name)
	}
	for _, role := range roles {
		require.NotEmpty(t, role.Does, role.Name)
		runs := slices.ContainsFunc(Services, func(s Service) bool { return s.Role == role.Name })
		require.True(t, runs || role.port, "%s runs nothing", role.Name)
		require.Equal(t, role.Name == "api", role.health == "", "%s: a process without the API answers about its health", role.Name)
	}
}

// open opens a node on embedded parts. It does not run.
func open(t *testing.T, of Roles) *Node {
	t.Helper()
	n, err := Open(t.Context(), config.Config{
		Data: t.TempDir(), APIAddr: "127.0.0.1:0", OperatorAddr: "127.0.0.1:0", HealthAddr: "127.0.0.1:0", SandboxAddr: "127.0.0.1:0", MailFrom: "Orderly <shop@orderly.example>",
	}, Options{Roles: of, Develop: len(of) == len(roles), Log: slog.New(slog.DiscardHandler), Say: func(string) {}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.closers.Close()) })
	return n
}

// What an entry says is what a process with every role does.
func TestAProcessDoesWhatTheTableSays(t *testing.T) {
	t.Parallel()
	n := open(t, AllRoles())
	require.Len(t, n.stores, len(Services))
	var outboxes int
	var listens []string
	for _, s := range Services {
		if s.Outbox {
			require.Contains(t, n.messaging.outboxes, n.stores[s.Name].box, s.Name)
			outboxes++
		}
		require.Equal(t, s.Queue != "", n.sagas.activities[s.Queue] != nil, "%s: Queue and the activities that it opens", s.Name)
		var opened []listen.Subscription
		if inbox := n.stores[s.Name].inbox; inbox != nil {
			opened = inbox.Subscriptions()
			require.Contains(t, n.messaging.inboxes, inbox)
		}
		require.Len(t, opened, len(s.Listens), s.Name)
		for i, listener := range opened {
			require.Equal(t, s.Listens[i], listener)
			listens = append(listens, listener.Name)
		}
	}
	require.Len(t, n.messaging.outboxes, outboxes)
	require.Len(t, n.messaging.inboxes, len(listens))

	// Every task queue has what sagas ask for on it, that of inline sagas too.
	polled := n.sagas.queues(queues())
	require.Len(t, polled, len(queues())+1)
	for queue, register := range polled {
		registry := activities.NewRegistry(nowhere{})
		register(registry)
		require.NoError(t, registry.Complete(queue))
	}
}

// nowhere is a registry that drops what it is given.
type nowhere struct{ worker.Registry }

func (nowhere) RegisterActivityWithOptions(any, activity.RegisterOptions) {}
func (nowhere) RegisterWorkflowWithOptions(any, workflow.RegisterOptions) {}

// Each role opens what the table says, and nothing breaks where it opens only that.
func TestEachRoleOpensByItself(t *testing.T) {
	t.Parallel()
	for _, role := range roles {
		t.Run(role.Name, func(t *testing.T) {
			t.Parallel()
			n := openMigrated(t, Roles{role})
			for _, s := range Services {
				require.Equal(t, s.usedBy(role.Name), n.stores[s.Name] != nil, "%s in %s", s.Name, role.Name)
			}
			for _, s := range n.roles.services() {
				require.Equal(t, s.Role == role.Name && s.Outbox, slices.Contains(n.messaging.outboxes, n.stores[s.Name].box), s.Name)
				require.Equal(t, s.Role == role.Name && len(s.Listens) > 0, n.stores[s.Name].inbox != nil, s.Name)
			}
		})
	}
}

func openMigrated(t *testing.T, of Roles) *Node {
	t.Helper()
	cfg := config.Config{
		Data: t.TempDir(), APIAddr: "127.0.0.1:0", OperatorAddr: "127.0.0.1:0", HealthAddr: "127.0.0.1:0", StripeAPIURL: "http://127.0.0.1:1",
		MailFrom: "Orderly <shop@orderly.example>",
	}
	say := func(string) {}
	require.NoError(t, Migrate(t.Context(), cfg, say))
	n, err := Open(context.WithoutCancel(t.Context()), cfg, Options{Roles: of, Log: slog.New(slog.DiscardHandler), Say: say})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.closers.Close()) })
	return n
}

// The linter keeps services apart by their folders: each must be in one that the rule covers, and none may be a package that all import.
func TestTheLinterKnowsEachService(t *testing.T) {
	t.Parallel()
	_, rule, found := strings.Cut(string(read(t, ".golangci.yml")), "\n        internal:\n")
	require.True(t, found)
	rule = regexp.MustCompile(`(?s)^.*?\n        \w`).FindString(rule)
	require.Contains(t, rule, `files: ["**/internal/*/*.go", `)
	for _, s := range Services {
		require.NotContains(t, rule, "/"+s.Name, "the rule leaves out a service, or every service may import it")
	}
	for _, name := range foundations {
		require.Contains(t, rule, "- example.com/orderly/internal/"+name+"\n")
	}
}

// The documents name each service and each role.
func TestTheDocumentsNameEachService(t *testing.T) {
	t.Parallel()
	quoted := "`" + strings.Join(ServiceNames(), "`, `") + "`"
	readme, table := string(read(t, "README.md")), string(read(t, "docs/architecture.md"))
	require.Contains(t, line(readme, "`internal/<service>/`"), "| "+quoted+":")
	require.Contains(t, line(table, "one SQLite file each"), quoted+": one PostgreSQL database")
	serve := line(readme, "`orderly serve ROLE...`")
	for _, role := range roles {
		require.Contains(t, serve, "`"+role.Name+"`")
		row := regexp.MustCompile("(?m)^\\| `" + role.Name + "` \\| ([a-z, ]+) \\|([^|]*)\\|").FindStringSubmatch(table)
		require.NotNil(t, row, "docs/architecture.md has no row for the role %s", role.Name)
		var needs []string
		for _, s := range Services {
			if s.requiredBy(role.Name) {
				needs = append(needs, s.Name)
			} else if s.usedBy(role.Name) {
				require.Contains(t, row[2], s.Name, "what %s can do without", role.Name)
			}
		}
		require.Equal(t, strings.Join(needs, ", "), row[1], "the databases that %s needs", role.Name)
		if role.health != "" {
			_, port, _ := strings.Cut(role.health, ":")
			require.Contains(t, line(readme, "`ORDERLY_HEALTH_ADDR`"), fmt.Sprintf("%s` %s", port, role.Name))
		}
	}
}

// line is the first line of the text that contains part.
func line(text, part string) string {
	for one := range strings.Lines(text) {
		if strings.Contains(one, part) {
			return one
		}
	}
	return ""
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	body, err := os.ReadFile(root + path)
	require.NoError(t, err)
	return body
}
