package main

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caarlos0/env/v11"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/contrib/envconfig"

	"example.com/orderly/internal/node"
	"example.com/orderly/internal/node/config"
)

// Where the tests run there need not be a container engine. What can be known of docker-compose.yml without one is held to here.

// standIns are the variables that have no default, with what stands in for them.
var standIns = types.Mapping{"POSTGRES_PASSWORD": "5eba0c6d", "RABBITMQ_PASSWORD": "c0d1f1ed"}

// inImages is what a health check may call: the commands each image is documented to contain.
var inImages = map[string]struct{ commands, says string }{
	"postgres":               {"pg_isready", "https://github.com/docker-library/postgres/blob/master/18/trixie/Dockerfile"},
	"rabbitmq":               {"rabbitmq-diagnostics", "https://www.rabbitmq.com/docs/4.3/man/rabbitmq-diagnostics.8"},
	"valkey/valkey":          {"valkey-cli", "https://github.com/valkey-io/valkey-container/blob/mainline/9.1/alpine/Dockerfile"},
	"axllent/mailpit":        {"/mailpit", "https://github.com/axllent/mailpit/blob/v1.31.1/Dockerfile"},
	"temporalio/admin-tools": {"", "https://github.com/temporalio/temporal/blob/v1.32.1/docker/targets/admin-tools.Dockerfile"},
	// Alpine: busybox, whose wget it is.
	"temporalio/server": {"wget nc", "https://github.com/temporalio/temporal/blob/v1.32.1/docker/targets/server.Dockerfile"},
	"temporalio/ui":     {"wget nc", "https://github.com/temporalio/ui-server/blob/v2.55.0/Dockerfile"},
	"orderly":           {"/orderly", "../../Dockerfile"},
}

type composition struct {
	*types.Project
	raw       map[string]any // before variables are put in
	variables map[string]template.Variable
	text      string
}

func readComposition(t *testing.T) composition {
	t.Helper()
	c := composition{text: readText(t, "../../docker-compose.yml")}
	details := types.ConfigDetails{
		WorkingDir: "../..", ConfigFiles: []types.ConfigFile{{Filename: "docker-compose.yml", Content: []byte(c.text)}},
		Environment: maps.Clone(standIns), // the loader adds to it
	}
	var err error
	c.Project, err = loader.LoadWithContext(t.Context(), details)
	require.NoError(t, err)
	c.raw, err = loader.LoadModelWithContext(t.Context(), details, func(o *loader.Options) { o.SkipInterpolation = true })
	require.NoError(t, err)
	c.variables = template.ExtractVariables(c.raw, nil)
	require.NotEmpty(t, c.variables)
	return c
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// ours are the services that run this program.
func (c composition) ours() types.Services {
	services := types.Services{}
	for name, service := range c.Services {
		if service.Image == "orderly:local" {
			services[name] = service
		}
	}
	return services
}

// endsByItself reports that the service does something once.
func endsByItself(service types.ServiceConfig) bool {
	return service.Restart == "" || service.Restart == types.RestartPolicyNo
}

// lookedUp notes what is looked up in the environment.
type lookedUp map[string]bool

func (l lookedUp) Environ() []string                    { return nil }
func (l lookedUp) LookupEnv(name string) (string, bool) { l[name] = true; return "", false }

// settings are the variables this program reads.
func settings(t *testing.T) map[string]bool {
	read := lookedUp{}
	for field := range reflect.TypeFor[config.Config]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
		read[name] = true
	}
	for _, service := range node.ServiceNames() {
		read[config.DatabaseVariable(service)] = true
	}
	require.NoError(t, (&envconfig.ClientConfigProfile{}).ApplyEnvVars(read))
	read["NO_PROXY"] = true // by net/http and gRPC
	return read
}

func TestContainersAreGivenWhatTheyRead(t *testing.T) {
	t.Parallel()
	c, read := readComposition(t), settings(t)
	require.Subset(t, slices.Collect(maps.Keys(read)), []string{"TEMPORAL_NAMESPACE", "ORDERLY_DATA", "USERS_DATABASE_URL"})
	serving := map[string]string{}
	for name, service := range c.ours() {
		given := map[string]string{}
		for variable, value := range service.Environment {
			require.True(t, read[variable], "%s is given %s, which nothing reads", name, variable)
			require.NotNil(t, value, "%s takes %s from the environment it is started in", name, variable)
			given[variable] = *value
		}
		cfg, err := env.ParseAsWithOptions[config.Config](env.Options{Environment: given})
		require.NoError(t, err, name)
		require.NoError(t, cfg.Check(), name)

		listens := []string{cfg.SandboxAddr}
		if service.Command[0] == "serve" {
			of, err := node.RolesNamed(service.Command[1:])
			require.NoError(t, err, name)
			require.NoError(t, of.CheckServable(cfg), name)
			listens = addresses(of, cfg)
			for _, role := range of {
				require.Empty(t, serving[role.Name], "the role %s runs twice", role.Name)
				serving[role.Name] = name
			}
		}
		for _, published := range service.Ports {
			at := net.JoinHostPort("0.0.0.0", fmt.Sprint(published.Target))
			require.Contains(t, listens, at, "%s does not listen where it is published", name)
			require.NotEqual(t, cfg.HealthAddr, at, "%s: health and metrics are not for the public", name)
		}
		if !endsByItself(service) {
			asked := append([]string{"CMD", "/orderly", "healthcheck"}, service.Command[slices.Index(service.Command, "serve")+1:]...)
			require.Equal(t, asked, []string(service.HealthCheck.Test), name)
		}
	}
	require.Len(t, serving, len(node.AllRoles()), "of the roles only %v run", serving)
}

// addresses are where a process with these roles listens, but for its health: the port of the API has none in the containers.
func addresses(of node.Roles, cfg config.Config) []string {
	var all []string
	if of.Has("api") && cfg.HealthAddr != "" {
		all = append(all, cfg.APIAddr)
	}
	if of.Has("operator") {
		all = append(all, cfg.OperatorAddr)
	}
	return all
}

// A Docker client that is behind a proxy tells every container about it.
func TestContainersAskEachOtherPastAnyProxy(t *testing.T) {
	t.Parallel()
	c := readComposition(t)
	asked := regexp.MustCompile(`^(?:http://)?([a-z-]+):\d+$`)
	for name, service := range c.Services {
		if check := service.HealthCheck; check != nil && check.Test[1] == "wget" {
			require.Equal(t, []string{"-Y", "off"}, []string(check.Test[2:4]), name)
		}
		for variable, value := range service.Environment {
			to := asked.FindStringSubmatch(*value)
			if to == nil {
				continue
			}
			require.Contains(t, c.Services, to[1], "%s: %s", name, variable)
			direct := service.Environment["NO_PROXY"]
			require.NotNil(t, direct, "%s asks a proxy for %s", name, *value)
			require.Contains(t, strings.Split(*direct, ","), to[1], name)
		}
	}
}

func TestContainersStartInTheOrderOfTheirHealth(t *testing.T) {
	t.Parallel()
	c := readComposition(t)
	awaited := map[string]bool{}
	for name, service := range c.Services {
		if !endsByItself(service) {
			require.NotNil(t, service.HealthCheck, "no health check tells whether %s works", name)
			repository, _, _ := strings.Cut(service.Image, ":")
			known, ok := inImages[repository]
			require.True(t, ok, "what is in %s is not known", service.Image)
			require.Equal(t, "CMD", service.HealthCheck.Test[0], "%s: a shell need not be there", name)
			require.Contains(t, strings.Fields(known.commands), service.HealthCheck.Test[1], "%s: %s says nothing of it", name, known.says)
			require.NotNil(t, service.HealthCheck.StartPeriod, name)
		}
		for on, dependency := range service.DependsOn {
			if endsByItself(c.Services[on]) {
				require.Equal(t, types.ServiceConditionCompletedSuccessfully, dependency.Condition, "%s, which %s needs, ends", on, name)
				awaited[on] = true
				continue
			}
			require.NotNil(t, c.Services[on].HealthCheck, "%s needs %s, which has no health check", name, on)
			require.Equal(t, types.ServiceConditionHealthy, dependency.Condition, "%s does not wait until %s works", name, on)
		}
	}
	for name, service := range c.Services {
		require.Equal(t, endsByItself(service), awaited[name], "up --wait takes the end of %s for a failure unless another service waits for it", name)
	}
}

func TestEveryPortAndVariableOfTheContainersIsDocumented(t *testing.T) {
	t.Parallel()
	c := readComposition(t)
	_, readme, found := strings.Cut(readText(t, "../../README.md"), "\n## In containers\n")
	require.True(t, found)
	ports := regexp.MustCompile(`^\$\{PUBLISH_ADDRESS:-127\.0\.0\.1\}:\$\{(\w+):-(\d+)\}:(\d+)$`)
	for name, service := range c.raw["services"].(map[string]any) {
		published, _ := service.(map[string]any)["ports"].([]any)
		for _, port := range published {
			is := ports.FindStringSubmatch(port.(string))
			require.NotNil(t, is, "%s: %v is not on PUBLISH_ADDRESS, or can't be overridden", name, port)
			require.Contains(t, readme, fmt.Sprintf(" | `%s:%s` | `%s` | `%s` | ", name, is[3], is[1], is[2]), "README.md does not have this port")
		}
	}
	for name, variable := range c.variables {
		require.Regexp(t, "\\| `"+name+"` \\|", readme)
		if !variable.Required {
			require.Regexp(t, "\\| `"+name+"` \\| `"+regexp.QuoteMeta(variable.DefaultValue)+"` \\|", readme)
		}
	}
	for _, name := range regexp.MustCompile(`PUBLISH_\w+`).FindAllString(readme, -1) {
		require.Contains(t, c.variables, name, "README.md has a variable that does nothing")
	}
}

func TestNoPasswordStandsInTheCompositionAndNoneHasADefault(t *testing.T) {
	t.Parallel()
	c := readComposition(t)
	for name := range standIns {
		require.True(t, c.variables[name].Required && c.variables[name].DefaultValue == "", "%s must come from outside", name)
	}
	secret := func(value string) bool { return slices.Contains(slices.Collect(maps.Values(standIns)), value) }
	named := regexp.MustCompile(`PASS|PWD|SECRET|TOKEN|CREDENTIAL|API_KEY`)
	for name, service := range c.Services {
		for variable, value := range service.Environment {
			require.NotNil(t, value, "%s takes %s from the environment it is started in", name, variable)
			if at, err := url.Parse(*value); err == nil && at.User != nil {
				password, _ := at.User.Password()
				require.True(t, secret(password), "%s: the password in %s does not come from outside", name, variable)
			}
			require.True(t, secret(*value) || !named.MatchString(variable), "%s: %s does not come from outside", name, variable)
		}
		shown := slices.Concat([]string(service.Command), []string(service.Entrypoint))
		if service.HealthCheck != nil {
			shown = append(shown, service.HealthCheck.Test...)
		}
		for _, password := range standIns {
			require.NotContains(t, strings.Join(shown, " "), password, "%s: every user of the machine sees arguments", name)
		}
	}
}

func TestImagesArePinnedAndOursIsNotRoot(t *testing.T) {
	t.Parallel()
	c := readComposition(t)
	// Three numbers are one release; PostgreSQL's have two. Beside the version stands where it comes from.
	pinned := regexp.MustCompile(`(?m)^ +image: (postgres:\d+\.\d+|[a-z/-]+:v?\d+\.\d+\.\d+)(-[a-z0-9.]+)? # https://\S+$`)
	require.Len(t, pinned.FindAllString(c.text, -1), strings.Count(c.text, "image: ")-strings.Count(c.text, "image: orderly:local"),
		"an image is not pinned, or it does not say where it comes from")

	dockerfile := readText(t, "../../Dockerfile")
	toolchain := regexp.MustCompile(`(?m)^toolchain go(\S+)$`).FindStringSubmatch(readText(t, "../../go.mod"))
	require.NotNil(t, toolchain, "go.mod names no toolchain")
	stages := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(dockerfile, -1)
	for _, stage := range stages {
		require.Regexp(t, `^(scratch|golang:`+regexp.QuoteMeta(toolchain[1])+`-alpine\d+\.\d+)$`, stage[1],
			"govulncheck looks at the toolchain that go.mod names")
	}
	_, last, _ := strings.Cut(dockerfile, "\nFROM scratch")
	require.Regexp(t, `(?m)^USER [1-9]\d*:[1-9]\d*$`, last)
	require.Contains(t, last, "\nCOPY --from=build --chown=65532:0 /writable/ /\n", "any user of group 0 can write to its folders")
	require.Contains(t, last, "\nENTRYPOINT [\"/orderly\"]\n")

	built := 0
	for name, service := range c.ours() {
		require.Empty(t, service.User, "%s is not the user of the image", name)
		require.False(t, service.Privileged, name)
		require.Equal(t, []string{"ALL"}, service.CapDrop, name)
		require.True(t, service.ReadOnly, "%s may write to its image", name)
		require.Empty(t, service.Entrypoint, name)
		require.Equal(t, types.PullPolicyNever, service.PullPolicy, "%s: no registry has this image", name)
		if service.Build != nil {
			built++
		}
	}
	require.Equal(t, 1, built, "two builds of one tag get into each other's way")
}
