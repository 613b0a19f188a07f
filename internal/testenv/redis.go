package testenv

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisServer starts a redis-server of the test's own on a free port, with these options, and returns host:port and a client for its
// administration. Both end with the test.
func RedisServer(t testing.TB, options ...string) (addr string, admin *redis.Client) {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("REQUIRE_INTEGRATION") == "1" {
			t.Fatal("there is no redis-server on PATH and REQUIRE_INTEGRATION=1: install Debian's package redis-server")
		}
		t.Skip("not run: there is no redis-server on PATH (Debian's package redis-server)")
	}
	port, bus := freePort(t), freePort(t)
	addr = net.JoinHostPort("127.0.0.1", port)
	server := exec.Command(binary, append([]string{
		"--bind", "127.0.0.1", "--port", port, "--cluster-port", bus, "--dir", t.TempDir(), "--save", "", "--appendonly", "no",
	}, options...)...)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	admin = redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true})
	t.Cleanup(func() {
		_ = admin.Close()
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	await(t, addr+" does not come up", func(ctx context.Context) bool { return admin.Ping(ctx).Err() == nil })
	return addr, admin
}

// RedisCluster starts a cluster of two nodes, each with half of the keys.
func RedisCluster(t testing.TB, options ...string) (addrs []string, admins []*redis.Client) {
	t.Helper()
	for range 2 {
		addr, admin := RedisServer(t, append([]string{"--cluster-enabled", "yes"}, options...)...)
		addrs, admins = append(addrs, addr), append(admins, admin)
	}
	for i, half := range [][2]int{{0, 8191}, {8192, 16383}} {
		if err := admins[i].ClusterAddSlotsRange(t.Context(), half[0], half[1]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	host, port, _ := net.SplitHostPort(addrs[1])
	bus, err := admins[1].ConfigGet(t.Context(), "cluster-port").Result()
	if err == nil {
		err = admins[0].Do(t.Context(), "CLUSTER", "MEET", host, port, bus["cluster-port"]).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, admin := range admins {
		await(t, "the cluster does not come together", func(ctx context.Context) bool {
			shards, err := admin.ClusterShards(ctx).Result()
			return err == nil && len(shards) == 2 && strings.HasPrefix(admin.ClusterInfo(ctx).Val(), "cluster_state:ok")
		})
	}
	return addrs, admins
}

func await(t testing.TB, what string, done func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for !done(ctx) {
		select {
		case <-retry.C:
		case <-ctx.Done():
			t.Fatal(what)
		}
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}
