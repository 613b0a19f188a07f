package temporal_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"example.com/orderly/internal/node/temporal"
)

func TestTemporalIsNamedAsItsClientTakesIt(t *testing.T) {
	for address, malformed := range map[string]string{
		"temporal:7233": "", "10.0.0.1:7233": "", "[::1]:7233": "", "dns:///temporal:7233": "", "dns:temporal:7233": "",
		"dns://10.0.0.2/temporal.shop:7233": "", "passthrough:///temporal:7233": "", "passthrough:///[::1]:7233": "", "unix:///run/temporal": "",
		"unix-host:7233": "",

		"temporal": "not host:port", "::1": "not host:port", "fd00::1:7233": "not host:port", "temporal:": "host:port", "temporal:http": "host:port",
		"temporal:70000": "host:port", "http://temporal:7233": "can resolve", "tcp://temporal:7233": "can resolve",
		"dns:///temporal": "no port", "passthrough:///temporal": "no port", "dns:///": "no port", "dns://temporal:7233": "no port",
	} {
		t.Run(address, func(t *testing.T) {
			_, err := temporal.CheckVariables(address)
			if malformed == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "TEMPORAL_ADDRESS is malformed")
			require.ErrorContains(t, err, malformed)
			require.ErrorContains(t, err, "dns:///temporal:7233")
		})
	}
}

// Each variable of Temporal's environment configuration is followed or refused. None is passed over in silence.
func TestVariablesOfTemporalsClientsAreFollowedOrRefused(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "temporal.toml")
	require.NoError(t, os.WriteFile(profile, []byte("[profile.default.codec]\nendpoint = \"http://codec\"\n"), 0o600))
	for set, says := range map[string]string{
		"TEMPORAL_CODEC_ENDPOINT=http://codec":        "payloads",
		"TEMPORAL_CODEC_AUTH=Bearer s3cret":           "payloads",
		"TEMPORAL_CONFIG_FILE=" + profile:             "payloads",
		"TEMPORAL_CONFIG_FILE=/nowhere/temporal.toml": "TEMPORAL_CONFIG_FILE",
		"TEMPORAL_PROFILE=nowhere":                    "nowhere",
		"TEMPORAL_TLS=yes":                            "TEMPORAL_TLS is malformed",
		"TEMPORAL_TLS_DISABLE_HOST_VERIFICATION=on":   "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION is malformed",
		"TEMPORAL_API_KEY=s3 cret":                    "TEMPORAL_API_KEY is malformed",
		"TEMPORAL_API_KEY=s3\ncret":                   "TEMPORAL_API_KEY is malformed",
		"TEMPORAL_TLS_CLIENT_CERT_PATH=/nowhere.pem":  "cert",
		"TEMPORAL_TLS_CLIENT_CERT_DATA=none":          "cert",
		"TEMPORAL_TLS_CLIENT_KEY_PATH=/nowhere.pem":   "key",
		"TEMPORAL_TLS_CLIENT_KEY_DATA=none":           "key",
		"TEMPORAL_TLS_SERVER_CA_CERT_PATH=/nowhere":   "/nowhere",
		"TEMPORAL_TLS_SERVER_CA_CERT_DATA=none":       "CA",
	} {
		t.Run(set, func(t *testing.T) {
			name, value, _ := strings.Cut(set, "=")
			t.Setenv(name, value)
			_, err := temporal.CheckVariables("temporal:7233")
			if err == nil {
				_, err = temporal.Options(slog.New(slog.DiscardHandler))
			}
			require.ErrorContains(t, err, says)
			require.ErrorContains(t, err, "TEMPORAL_")
			require.NotContains(t, err.Error(), "cret")
		})
	}
}

func TestVariablesWithoutEffectAreNamed(t *testing.T) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "TEMPORAL_") {
			t.Setenv(name, "") // the test's own count alone
		}
	}
	for name, c := range map[string]struct{ set, address, says string }{
		"no server outside":        {"TEMPORAL_NAMESPACE=shop", "", "TEMPORAL_NAMESPACE is not used"},
		"a key without a server":   {"TEMPORAL_API_KEY=s3cret", "", "TEMPORAL_API_KEY is not used"},
		"a header without":         {"TEMPORAL_GRPC_META_TEAM=a", "", "TEMPORAL_GRPC_META_TEAM is not used"},
		"a name of an older CLI":   {"TEMPORAL_TLS_CERT=/cert.pem", "temporal:7233", "TEMPORAL_TLS_CERT is not used"},
		"all is well":              {"TEMPORAL_NAMESPACE=shop", "temporal:7233", ""},
		"empty":                    {"TEMPORAL_NAMESPACE=", "", ""},
		"the link to a Service":    {"TEMPORAL_TLS_PORT=tcp://10.96.0.1:7233", "temporal:7233", ""},
		"a port of that link":      {"TEMPORAL_TLS_SERVICE_PORT_GRPC=7233", "temporal:7233", ""},
		"the CLI that dev may run": {"TEMPORAL_CLI=temporal", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			variable, value, _ := strings.Cut(c.set, "=")
			t.Setenv(variable, value)
			notes, err := temporal.CheckVariables(c.address)
			require.NoError(t, err)
			if c.says == "" {
				require.Empty(t, notes)
				return
			}
			require.Len(t, notes, 1)
			require.Contains(t, notes[0], c.says)
			require.NotContains(t, notes[0], "s3cret")
		})
	}
	t.Run("TLS is off", func(t *testing.T) {
		t.Setenv("TEMPORAL_TLS", "false")
		t.Setenv("TEMPORAL_TLS_SERVER_NAME", "temporal.shop")
		notes, err := temporal.CheckVariables("temporal:7233")
		require.NoError(t, err)
		require.Equal(t, []string{"TEMPORAL_TLS_SERVER_NAME is not used: TEMPORAL_TLS=false."}, notes)
	})
}

// What a server is shown, under each way to name it. The key comes from a file that ends in a line break.
func TestTheClientFollowsTheVariables(t *testing.T) {
	port, shown := server(t)
	t.Setenv("TEMPORAL_API_KEY", "s3cret\n")
	t.Setenv("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", "true")
	t.Setenv("TEMPORAL_CLIENT_AUTHORITY", "temporal.shop")
	t.Setenv("TEMPORAL_GRPC_META_TEAM", "till")
	t.Setenv("TEMPORAL_TLS_SERVER_NAME", "")
	for _, address := range []string{"127.0.0.1:" + port, "localhost:" + port, "dns:///localhost:" + port, "passthrough:///127.0.0.1:" + port} {
		t.Run(address, func(t *testing.T) {
			t.Setenv("TEMPORAL_ADDRESS", address)
			_, err := temporal.CheckVariables(address)
			require.NoError(t, err)
			options, err := temporal.Options(slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			_, err = client.DialContext(t.Context(), options)
			require.ErrorContains(t, err, "not you")
			sent := <-shown
			require.Equal(t, []string{"Bearer s3cret"}, sent.Get("authorization"))
			require.Equal(t, []string{"temporal.shop"}, sent.Get(":authority"))
			require.Equal(t, []string{"till"}, sent.Get("team"))
		})
	}
	t.Run("two names", func(t *testing.T) {
		t.Setenv("TEMPORAL_TLS_SERVER_NAME", "other.shop")
		_, err := temporal.Options(slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, "TEMPORAL_CLIENT_AUTHORITY")
	})
}

// server refuses every call over TLS, and hands on what it was shown.
func server(t *testing.T) (port string, shown <-chan metadata.MD) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	calls := make(chan metadata.MD, 100)
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}},
	})), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		sent, _ := metadata.FromIncomingContext(stream.Context())
		calls <- sent
		return status.Error(codes.PermissionDenied, "not you")
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(s.Stop)
	_, port, err = net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port, calls
}
