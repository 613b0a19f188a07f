package temporal

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.temporal.io/sdk/contrib/envconfig"
)

// honoured are the variables of Temporal's environment configuration that Options follows, GRPC_META_* apart. The one left out is the
// codec, which CheckVariables refuses.
var honoured = []string{
	"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY", "TEMPORAL_CLIENT_AUTHORITY", "TEMPORAL_CONFIG_FILE", "TEMPORAL_PROFILE",
	"TEMPORAL_TLS", "TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_CERT_DATA", "TEMPORAL_TLS_CLIENT_KEY_PATH",
	"TEMPORAL_TLS_CLIENT_KEY_DATA", "TEMPORAL_TLS_SERVER_CA_CERT_PATH", "TEMPORAL_TLS_SERVER_CA_CERT_DATA", "TEMPORAL_TLS_SERVER_NAME",
	"TEMPORAL_TLS_DISABLE_HOST_VERIFICATION",
}

var errCodec = errors.New("TEMPORAL_CODEC_ENDPOINT and TEMPORAL_CODEC_AUTH: Orderly does not use a remote codec, since a worker would ask it " +
	"for each payload of each replay; payloads (ids, amounts, SKUs, payment tokens) would be readable. Unset them, and the codec of the " +
	"profile in TEMPORAL_CONFIG_FILE, if that is acceptable")

// CheckVariables returns an error where the address is none that Temporal's client can resolve, and where a variable of Temporal's environment configuration asks for what Options can't do, so that none
// is passed over in silence. The notes name variables without effect: those for a server outside where address is empty, and names
// that look like ones of Temporal's and are not.
func CheckVariables(address string) (notes []string, err error) {
	at := environment{}
	if address != "" {
		if err := checkAddress(address); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"TEMPORAL_CODEC_ENDPOINT", "TEMPORAL_CODEC_AUTH"} {
		if _, set := at.LookupEnv(name); set {
			return nil, errCodec
		}
	}
	for _, name := range []string{"TEMPORAL_TLS", "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"} {
		if value, set := at.LookupEnv(name); set && !slices.Contains([]string{"1", "0", "true", "false"}, strings.ToLower(value)) {
			return nil, fmt.Errorf("%s is malformed: %q is neither true nor false", name, value)
		}
	}
	if key, set := at.LookupEnv("TEMPORAL_API_KEY"); set && strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("TEMPORAL_API_KEY is malformed: it has a space, a line break or another character in it that no key has")
	}
	if file, set := at.LookupEnv("TEMPORAL_CONFIG_FILE"); set {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("TEMPORAL_CONFIG_FILE names no file that can be read: %w", err)
		}
	}
	return withoutEffect(at, address != ""), nil
}

// withoutEffect returns a line about each variable that is set for nothing.
func withoutEffect(at environment, external bool) (notes []string) {
	tls, _ := at.LookupEnv("TEMPORAL_TLS")
	noTLS := tls == "0" || strings.EqualFold(tls, "false")
	for _, name := range at.names() {
		switch known := slices.Contains(honoured, name) || strings.HasPrefix(name, "TEMPORAL_GRPC_META_"); {
		case known && !external:
			notes = append(notes, name+" is not used: it is for a Temporal server outside, which TEMPORAL_ADDRESS would name.")
		case known && noTLS && strings.HasPrefix(name, "TEMPORAL_TLS_"):
			notes = append(notes, name+" is not used: TEMPORAL_TLS="+tls+".")
		case !known && looksLikeOurs(name):
			notes = append(notes, name+" is not used: it is no variable of Temporal's clients. TLS is set up by TEMPORAL_TLS, "+
				"TEMPORAL_TLS_CLIENT_CERT_PATH, TEMPORAL_TLS_CLIENT_KEY_PATH and TEMPORAL_TLS_SERVER_CA_CERT_PATH.")
		}
	}
	return notes
}

// looksLikeOurs reports whether a person may have meant the variable for us. The links to a Service temporal-tls are not.
func looksLikeOurs(name string) bool {
	link := strings.Contains(name, "_SERVICE_") || strings.HasSuffix(name, "_PORT") || strings.Contains(name, "_PORT_")
	return !link && (strings.HasPrefix(name, "TEMPORAL_TLS_") || strings.HasPrefix(name, "TEMPORAL_CLIENT_"))
}

// environment is the process's, for envconfig: an empty variable is one that is not set, and the line break that ends a secret read from a
// file is left out.
type environment struct{}

var _ envconfig.EnvLookup = environment{}

// Environ implements envconfig.EnvLookup.
func (environment) Environ() []string { return os.Environ() }

// LookupEnv implements envconfig.EnvLookup.
func (environment) LookupEnv(name string) (string, bool) {
	value := strings.TrimSpace(os.Getenv(name))
	return value, value != ""
}

func (e environment) names() (set []string) {
	for _, variable := range e.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if _, is := e.LookupEnv(name); is {
			set = append(set, name)
		}
	}
	slices.Sort(set)
	return set
}
