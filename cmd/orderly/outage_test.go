package main

import (
	"context"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/testenv"
	"example.com/orderly/workflows"
)

// proxy stands between the processes and a server. Cut, it is what a stopped server looks like: connections end, new ones are refused.
type proxy struct {
	t      *testing.T
	addr   string
	target string

	lock     sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
	running  sync.WaitGroup
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	p := &proxy{t: t, addr: "127.0.0.1:" + freePorts(t, 1)[0], target: target, open: map[net.Conn]bool{}}
	p.mend()
	t.Cleanup(p.cut)
	return p
}

func (p *proxy) mend() {
	p.t.Helper()
	listener, err := net.Listen("tcp", p.addr)
	require.NoError(p.t, err)
	p.lock.Lock()
	p.listener = listener
	p.lock.Unlock()
	p.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.carry(client) })
		}
	})
}

func (p *proxy) carry(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	p.lock.Lock()
	p.open[client], p.open[server] = true, true
	p.lock.Unlock()
	var both sync.WaitGroup
	for from, to := range map[net.Conn]net.Conn{client: server, server: client} {
		both.Go(func() {
			_, _ = io.Copy(to, from)
			_, _ = client.Close(), server.Close()
		})
	}
	both.Wait()
	p.lock.Lock()
	delete(p.open, client)
	delete(p.open, server)
	p.lock.Unlock()
}

func (p *proxy) cut() {
	p.lock.Lock()
	if p.listener != nil {
		_ = p.listener.Close()
	}
	for conn := range p.open {
		_ = conn.Close()
	}
	p.lock.Unlock()
	p.running.Wait()
}

// PostgreSQL, RabbitMQ, Redis and Temporal go away in turn while orders come in, and come back. Nobody gets anything but a clean answer in
// time, and every order that was accepted completes once.
func TestOutages(t *testing.T) {
	t.Parallel()
	parts := newRealParts(t)
	behind := func(rawURL string) (*proxy, string) {
		at, err := url.Parse(rawURL)
		require.NoError(t, err)
		p := newProxy(t, at.Host)
		at.Host = p.addr
		return p, at.String()
	}
	postgres, database := behind(parts.database)
	broker, brokerURL := behind(parts.broker)
	cache, cacheURL := behind(parts.cache)
	temporal := newProxy(t, testenv.Temporal(t, workflows.SearchAttributes()))
	d := newDeploymentOn(t, parts, "DATABASE_URL="+database, "RABBITMQ_URL="+brokerURL, "REDIS_URL="+cacheURL, "TEMPORAL_ADDRESS="+temporal.addr)
	d.startAll()

	for _, part := range []struct {
		name string
		*proxy
		// accepts tells whether orders are accepted without it.
		accepts bool
	}{{"PostgreSQL", postgres, false}, {"RabbitMQ", broker, true}, {"Redis", cache, true}, {"Temporal", temporal, true}} {
		l := d.newLoad()
		stock, err := l.shop.available(t.Context())
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		l.clients.Go(func() { l.steadily(ctx, 100*time.Millisecond) })
		eventually(t, time.Minute, "no orders come in", func() bool { return l.count() >= 10 })
		part.cut()
		before := l.count()
		select {
		case <-time.After(*outage):
		case <-ctx.Done():
		}
		during := l.count() - before
		part.mend()
		eventually(t, 30*time.Second, "no orders come in again", func() bool { return l.count() > before+during+10 })
		stop()
		t.Logf("%s away for %s: %d orders accepted meanwhile", part.name, *outage, during)
		l.requireAllCompleted(stock["MUG-BLUE"], 3*time.Minute)
		t.Log(l.said())
		// The few that are under way at the moment of the cut may get through.
		require.Equal(t, part.accepts, during > 5, "orders accepted without %s: %d", part.name, during)
		if part.accepts {
			require.Empty(t, l.answers, "a part that can be done without for a while was missed by customers")
		}
		for answer := range l.answers {
			require.True(t, strings.HasPrefix(answer, "503"), "customers got %q", answer)
		}
		require.Less(t, l.slowest, 6*time.Second)
	}
	d.stop(append(roleNames(roles), "sandbox")...)
}
