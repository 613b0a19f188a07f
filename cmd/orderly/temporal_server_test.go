package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/testenv"
)

// temporalServer is a Temporal server on PostgreSQL, as one runs in production, with databases of its own.
type temporalServer struct {
	t       *testing.T
	binary  string
	config  string
	addr    string
	log     string
	process *exec.Cmd
}

// serverConfig is the static configuration of the server. Its membership table takes no port above 32767.
var serverConfig = template.Must(template.New("").Parse(`
log: {stdout: true, level: error}
persistence:
  defaultStore: main
  visibilityStore: visibility
  numHistoryShards: 4
  datastores:
{{- range .Stores}}
    {{.Name}}:
      sql: {pluginName: postgres12, databaseName: {{.Database}}, connectAddr: "{{$.Postgres}}", connectProtocol: tcp,
            user: "{{$.User}}", password: "{{$.Password}}", maxConns: 8, maxIdleConns: 8}
{{- end}}
global:
  membership: {maxJoinDuration: 30s, broadcastAddress: 127.0.0.1}
services:
{{- range .Services}}
  {{.Name}}:
    rpc: {grpcPort: {{.Port}}, membershipPort: {{.Membership}}, bindOnLocalHost: true}
{{- end}}
clusterMetadata:
  enableGlobalNamespace: false
  failoverVersionIncrement: 10
  masterClusterName: active
  currentClusterName: active
  clusterInformation:
    active: {enabled: true, initialFailoverVersion: 1, rpcName: frontend, rpcAddress: "{{.Frontend}}"}
dynamicConfigClient: {filepath: "{{.Dynamic}}", pollInterval: 1m}
`))

type store struct{ Name, Database string }

type service struct{ Name, Port, Membership string }

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
	stores := []store{{"main", parts.prefix + "_temporal"}, {"visibility", parts.prefix + "_visibility"}}
	for i, schema := range []string{"temporal", "visibility"} {
		require.NoError(t, database.EnsurePostgres(t.Context(), parts.server, stores[i].Database))
		t.Cleanup(func() {
			require.NoError(t, database.DropPostgres(context.Background(), parts.server, stores[i].Database))
		})
		for _, step := range [][]string{{"setup-schema", "-v", "0.0"}, {"update-schema", "--schema-name", "postgresql/v12/" + schema}} {
			run := exec.Command(tool, append([]string{"--plugin", "postgres12", "--db", stores[i].Database}, step...)...)
			run.Env = append(os.Environ(), "SQL_HOST="+at.Hostname(), "SQL_PORT="+at.Port(), "SQL_USER="+at.User.Username(), "SQL_PASSWORD="+password)
			said, err := run.CombinedOutput()
			require.NoError(t, err, string(said))
		}
	}
	ports := freePorts(t, 8)
	dir := t.TempDir()
	s := &temporalServer{
		t: t, binary: server, config: filepath.Join(dir, "config.yaml"), log: filepath.Join(dir, "log"), addr: "127.0.0.1:" + ports[0],
	}
	dynamic := filepath.Join(dir, "dynamic.yaml")
	require.NoError(t, os.WriteFile(dynamic, []byte("{}\n"), 0o600))
	var text strings.Builder
	require.NoError(t, serverConfig.Execute(&text, map[string]any{
		"Stores": stores, "Postgres": at.Host, "User": at.User.Username(), "Password": password, "Frontend": s.addr, "Dynamic": dynamic,
		"Services": []service{
			{"frontend", ports[0], ports[1]}, {"matching", ports[2], ports[3]}, {"history", ports[4], ports[5]}, {"worker", ports[6], ports[7]},
		},
	}))
	require.NoError(t, os.WriteFile(s.config, []byte(text.String()), 0o600))
	t.Cleanup(s.stop)
	s.start()
	return s
}

func (s *temporalServer) start() {
	s.t.Helper()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(s.t, err)
	defer func() { _ = log.Close() }()
	s.process = exec.Command(s.binary, "--allow-no-auth", "--config-file", s.config, "start")
	s.process.Stdout, s.process.Stderr = log, log
	require.NoError(s.t, s.process.Start())
	began := time.Now()
	eventually(s.t, time.Minute, "the Temporal server does not come up", func() bool {
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		c, err := client.DialContext(ctx, client.Options{HostPort: s.addr, Logger: quiet()})
		if err == nil {
			_, err = c.CheckHealth(ctx, &client.CheckHealthRequest{})
			c.Close()
		}
		return err == nil
	})
	s.t.Logf("the Temporal server was up after %s", time.Since(began).Round(100*time.Millisecond))
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
	d.stop(append(roleNames(roles), "sandbox")...)

	c, err := client.NewNamespaceClient(client.Options{HostPort: server.addr, Logger: quiet()})
	require.NoError(t, err)
	defer c.Close()
	described, err := c.Describe(t.Context(), parts.prefix)
	require.NoError(t, err)
	require.Equal(t, "48h0m0s", fmt.Sprint(described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()))
}
