package rabbit_test

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy stands between us and the broker and can do what networks and brokers do.
type proxy struct {
	listener net.Listener
	broker   string
	// refusing drops new connections; dropAcks keeps the broker's confirms to itself.
	refusing, dropAcks atomic.Bool
	// sent counts what clients have written.
	sent atomic.Int64
	// gate is held for writing while nothing passes, in either direction.
	gate  sync.RWMutex
	lock  sync.Mutex
	conns []*proxied
}

type proxied struct {
	client, server net.Conn
	lock           sync.Mutex // one frame to the client at a time
}

func newProxy(t testing.TB, broker string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: listener, broker: broker}
	go p.serve()
	t.Cleanup(func() { _ = listener.Close(); p.cut() })
	return p
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.broker)
		if err != nil || p.refusing.Load() {
			_ = client.Close()
			continue
		}
		c := &proxied{client: client, server: server}
		p.lock.Lock()
		p.conns = append(p.conns, c)
		p.lock.Unlock()
		go p.toServer(c)
		go p.toClient(c)
	}
}

// cut ends every connection, without a word.
func (p *proxy) cut() {
	p.lock.Lock()
	defer p.lock.Unlock()
	for _, c := range p.conns {
		_, _ = c.client.Close(), c.server.Close()
	}
	p.conns = nil
}

// What a broker says on its own account, as methods of channel 0.
var (
	blocked   = append([]byte{0, 10, 0, 60, 6}, "memory"...)
	unblocked = []byte{0, 10, 0, 61}
	forced    = append([]byte{0, 10, 0, 50, 320 >> 8, 320 & 0xFF, 4}, "stop\x00\x00\x00\x00"...) // connection.close
)

// say says something to every client.
func (p *proxy) say(method []byte) {
	frame := binary.BigEndian.AppendUint32([]byte{1, 0, 0}, uint32(len(method)))
	frame = append(append(frame, method...), 0xCE)
	p.lock.Lock()
	defer p.lock.Unlock()
	for _, c := range p.conns {
		c.lock.Lock()
		_, _ = c.client.Write(frame)
		c.lock.Unlock()
	}
}

func (p *proxy) toServer(c *proxied) {
	defer func() { _, _ = c.client.Close(), c.server.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := c.client.Read(buffer)
		p.sent.Add(int64(n))
		p.gate.RLock()
		_, failed := c.server.Write(buffer[:n])
		p.gate.RUnlock()
		if err != nil || failed != nil {
			return
		}
	}
}

func (p *proxy) toClient(c *proxied) {
	defer func() { _, _ = c.client.Close(), c.server.Close() }()
	for {
		header := make([]byte, 7)
		if _, err := io.ReadFull(c.server, header); err != nil {
			return
		}
		rest := make([]byte, binary.BigEndian.Uint32(header[3:])+1)
		if _, err := io.ReadFull(c.server, rest); err != nil {
			return
		}
		if p.dropAcks.Load() && header[0] == 1 && slices.Equal(rest[:4], []byte{0, 60, 0, 80}) {
			continue
		}
		p.gate.RLock()
		c.lock.Lock()
		_, err := c.client.Write(append(header, rest...))
		c.lock.Unlock()
		p.gate.RUnlock()
		if err != nil {
			return
		}
	}
}
