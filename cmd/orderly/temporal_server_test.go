package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/node"
	"example.com/orderly/internal/testenv"
)

// temporalServer is a Temporal server on PostgreSQL, as docker-compose.yml runs it: prepared by the script there and started with the
// variables there, but for the addresses, and databases of its own.
type temporalServer struct {
	t       *testing.T
	binary  string
	env     []string
	addr    string
	health  string
	log     string
	process *exec.Cmd
}

func newTemporalServer(t *testing.T, parts realParts) *temporalServer {
	t.Helper()
	server, tool := os.Getenv("ORDERLY_TEST_TEMPORAL_SERVER"), os.Getenv("ORDERLY_TEST_TEMPORAL_SQL_TOOL")
	if server == "" || tool == "" {
		testenv.Missing(t, "ORDERLY_TEST_TEMPORAL_SERVER and ORDERLY_TEST_TEMPORAL_SQL_TOOL",
			"what go install makes of go.temporal.io/server/cmd/server and cmd/tools/sql, both @v1.32.1")
	}
	at, err := url.Parse(parts.server)
	require.NoError(t, err)
	password, _ := at.User.Password()
	c, dir := readComposition(t), t.TempDir()
	names := map[string]string{"temporal": parts.prefix + "_temporal", "temporal_visibility": parts.prefix + "_visibility"}
	script := strings.Join(c.Services["temporal-schema"].Command[2:], "")
	for name, own := range names {
		t.Cleanup(func() { require.NoError(t, database.DropPostgres(context.Background(), parts.server, own)) })
		require.Contains(t, script, "\nprepare "+name+" ")
		script = strings.ReplaceAll(script, "\nprepare "+name+" ", "\nprepare "+own+" ")
	}
	require.NoError(t, os.Symlink(tool, filepath.Join(dir, "temporal-sql-tool")))
	prepare := exec.Command("sh", "-euc", script)
	prepare.Env = given(t, c.Services["temporal-schema"], map[string]string{
		"SQL_HOST": at.Hostname(), "SQL_PORT": at.Port(), "SQL_USER": at.User.Username(), "SQL_PASSWORD": password, "PATH": dir + ":" + os.Getenv("PATH"),
	})
	said, err := prepare.CombinedOutput()
	require.NoError(t, err, string(said))

	ports := freePorts(t, 9) // those of its membership table must not be above 32767
	test := c.Services["temporal"].HealthCheck.Test
	s := &temporalServer{
		t: t, binary: server, log: filepath.Join(dir, "log"), addr: "127.0.0.1:" + ports[0],
		health: strings.Replace(test[len(test)-1], ":7243/", ":"+ports[8]+"/", 1),
		env: given(t, c.Services["temporal"], map[string]string{
			"POSTGRES_SEEDS": at.Hostname(), "DB_PORT": at.Port(), "POSTGRES_USER": at.User.Username(), "POSTGRES_PWD": password,
			"DBNAME": names["temporal"], "VISIBILITY_DBNAME": names["temporal_visibility"], "BIND_ON_IP": "127.0.0.1",
			"FRONTEND_GRPC_PORT": ports[0], "FRONTEND_MEMBERSHIP_PORT": ports[1], "MATCHING_GRPC_PORT": ports[2], "MATCHING_MEMBERSHIP_PORT": ports[3],
			"HISTORY_GRPC_PORT": ports[4], "HISTORY_MEMBERSHIP_PORT": ports[5], "WORKER_GRPC_PORT": ports[6], "WORKER_MEMBERSHIP_PORT": ports[7],
			"FRONTEND_HTTP_PORT": ports[8],
			// Others use the database server, too.
			"SQL_MAX_CONNS": "8", "SQL_MAX_IDLE_CONNS": "8", "LOG_LEVEL": "error",
		}),
	}
	t.Cleanup(s.stop)
	s.start()
	return s
}

// given is what a container is given, with own instead where it is named, and nothing else.
func given(t *testing.T, service types.ServiceConfig, own map[string]string) (env []string) {
	t.Helper()
	for name, value := range service.Environment {
		if _, replaced := own[name]; !replaced {
			require.NotNil(t, value, name)
			env = append(env, name+"="+*value)
		}
	}
	for name, value := range own {
		env = append(env, name+"="+value)
	}
	return env
}

func (s *temporalServer) start() {
	s.t.Helper()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(s.t, err)
	defer func() { _ = log.Close() }()
	s.process = exec.Command(s.binary, "start")
	s.process.Env, s.process.Dir = s.env, filepath.Dir(s.log)
	s.process.Stdout, s.process.Stderr = log, log
	require.NoError(s.t, s.process.Start())
	began := time.Now()
	eventually(s.t, time.Minute, "the Temporal server does not come up", func() bool {
		response, err := http.Get(s.health)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	s.t.Logf("the Temporal server was up after %s", time.Since(began).Round(100*time.Millisecond))
}

func (s *temporalServer) kill() {
	_ = s.process.Process.Kill()
	s.stop()
}

func (s *temporalServer) stop() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Signal(syscall.SIGTERM)
	killed := time.AfterFunc(20*time.Second, func() { _ = s.process.Process.Kill() })
	_ = s.process.Wait() // however it ended
	killed.Stop()
	s.process = nil
	if log, err := os.ReadFile(s.log); err == nil && s.t.Failed() {
		s.t.Logf("the Temporal server's log ends with: %s", log[max(0, len(log)-2000):])
	}
}

// The whole system on a Temporal server on PostgreSQL: prepared by migrate, found by search attribute, and through a restart of the server.
func TestDemoOnTemporalOnPostgreSQL(t *testing.T) {
	t.Parallel()
	parts := newRealParts(t)
	server := newTemporalServer(t, parts)
	d := newDeploymentOn(t, parts, "TEMPORAL_ADDRESS="+server.addr, "ORDERLY_TEMPORAL_RETENTION=48h")
	said, code := d.command("migrate")
	require.Zero(t, code, said)
	require.NotContains(t, said, "Registered", "what is there was registered again")

	d.startAll()
	d.demo()
	s := d.customer()
	order := d.place(s, "pm_card_visa")
	d.requireCompleted(s, order.ID)
	d.requireFound(server.addr, order.ID)

	server.stop()
	waiting := d.place(s, "pm_card_visa")
	require.Equal(t, "pending", waiting.State)
	server.start()
	d.requireCompleted(s, waiting.ID)
	d.stop(append(node.AllRoles().Names(), "sandbox")...)

	c, err := client.NewNamespaceClient(client.Options{HostPort: server.addr, Logger: quiet()})
	require.NoError(t, err)
	defer c.Close()
	described, err := c.Describe(t.Context(), parts.prefix)
	require.NoError(t, err)
	require.Equal(t, "48h0m0s", fmt.Sprint(described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()))
}
