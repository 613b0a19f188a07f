package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.com/orderly/internal/testenv"
	"example.com/orderly/workflows"
)

// What a server says that is about itself, or about now, keeps no process from starting. Sagas have their search attributes all the same.
func TestServersOfAMood(t *testing.T) {
	t.Parallel()
	for name, mood := range map[string]func() func(method string) error{
		"Temporal answers late": func() func(string) error {
			var asked atomic.Int64
			return func(method string) error {
				switch method {
				case "DescribeNamespace", "RegisterNamespace", "ListSearchAttributes":
					if n := asked.Add(1); n%3 != 0 {
						return status.Error(codes.Unavailable, "not now")
					}
				}
				return nil
			}
		},
		"Temporal keeps its list of attributes to itself": func() func(string) error {
			return func(method string) error {
				if method == "ListSearchAttributes" || method == "AddSearchAttributes" {
					return status.Error(codes.PermissionDenied, "not for you")
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t)
			server := testenv.Temporal(t, workflows.SearchAttributes())
			d.env = append(d.env, "TEMPORAL_ADDRESS="+moodyTemporal(t, server, mood()),
				"REDIS_URL=redis://"+moodyRedis(t, "MISCONF the disk is full"))
			said, code := d.command("migrate")
			require.Zero(t, code, said)
			d.start("sandbox")
			all := d.launch("serve", "all")
			eventually(t, time.Minute, "serve all does not come up", func() bool { return strings.Contains(all.printed(), "msg=ready") })
			require.Contains(t, all.printed(), "running without a cache")
			s := d.customer()
			order := d.place(s, "pm_card_visa")
			d.requireCompleted(s, order.ID)
			d.requireFound(server, order.ID)
			all.terminate()
		})
	}
}

// A certificate that no client trusts, or TLS on one side alone: waiting does not mend it.
func TestTLSThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	certificate := selfSigned(t)
	secure := standIn(t, func(conn net.Conn) { _ = tls.Server(conn, certificate).Handshake() })
	plain := standIn(t, func(conn net.Conn) { _, _ = fmt.Fprint(conn, "220 ready\r\n"+strings.Repeat(" ", 100)) })
	postgres := func(answer, mode string) string {
		return (&url.URL{Scheme: "postgres", User: url.UserPassword("app", "s3cret"), Host: postgresWithTLS(t, answer), Path: "/orderly",
			RawQuery: "sslmode=" + mode}).String()
	}
	for name, c := range map[string]struct {
		set  []string
		says []string
	}{
		"PostgreSQL has none":         {[]string{"DATABASE_URL=" + postgres("N", "require")}, []string{"DATABASE_URL", "sslmode"}},
		"PostgreSQL's is not trusted": {[]string{"DATABASE_URL=" + postgres("S", "verify-full")}, []string{"DATABASE_URL", "sslrootcert"}},
		"Temporal has none":           {[]string{"TEMPORAL_ADDRESS=" + plain, "TEMPORAL_TLS=true"}, []string{"TEMPORAL_TLS", plain}},
		"Temporal's is not trusted":   {[]string{"TEMPORAL_ADDRESS=" + secure, "TEMPORAL_TLS=true"}, []string{"TEMPORAL_TLS", secure}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.env = append(append(w.env, "ORDERLY_DATA="+w.data), c.set...)
			w.requireRefusal([]string{"migrate"}, c.says...)
		})
	}
}
