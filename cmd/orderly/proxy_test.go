package main

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
	var listener net.Listener
	// A process that is just being started by another test may hold the one before for a moment, from its fork to its exec.
	eventually(p.t, 10*time.Second, "the port "+p.addr+" is taken", func() (bound bool) {
		var err error
		listener, err = net.Listen("tcp", p.addr)
		return err == nil
	})
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

// behind puts a proxy before the server of a URL.
func behind(t *testing.T, rawURL string) (*proxy, string) {
	t.Helper()
	at, err := url.Parse(rawURL)
	require.NoError(t, err)
	p := newProxy(t, at.Host)
	at.Host = p.addr
	return p, at.String()
}
