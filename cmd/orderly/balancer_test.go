package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// balancer is a small load balancer: it asks the readiness of each backend once a second, sends requests in turn to those that were ready
// when asked last, keeps connections on both sides alive, and sends no request twice. What a backend does to a request is counted.
type balancer struct {
	addr     string
	backends []*backend

	lock   sync.Mutex
	next   int
	counts map[string]int
}

type backend struct {
	addr, health string // where it answers requests, and where it tells about its health

	lock    sync.Mutex
	ready   bool
	refused int // how often it has said that it is not ready
	idle    []*backendConn
}

type backendConn struct {
	net.Conn
	answers *bufio.Reader
}

// balance serves until ctx ends.
func balance(ctx context.Context, backends ...*backend) (*balancer, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &balancer{addr: listener.Addr().String(), backends: backends, counts: map[string]int{}}
	for _, back := range backends {
		back.look(ctx)
		go back.watch(ctx)
	}
	server := &http.Server{Handler: b, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }()
	return b, nil
}

func (b *backend) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.look(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// look asks over a connection of its own, as balancers do.
func (b *backend) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.health+"/readyz", nil)
	if err != nil {
		return
	}
	request.Close = true
	response, err := http.DefaultTransport.RoundTrip(request)
	if err == nil {
		_ = response.Body.Close()
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	b.ready = err == nil && response.StatusCode == http.StatusOK
	if err == nil && !b.ready {
		b.refused++
	}
	for !b.ready && len(b.idle) > 0 {
		_ = b.idle[0].Close()
		b.idle = b.idle[1:]
	}
}

func (b *backend) isReady() bool {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.ready
}

// toldUnready is how often the backend itself has said that it is not ready.
func (b *backend) toldUnready() int {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.refused
}

// dial takes a connection that is alive, or makes one.
func (b *backend) dial(ctx context.Context) (*backendConn, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if last := len(b.idle) - 1; last >= 0 {
		c := b.idle[last]
		b.idle = b.idle[:last]
		return c, nil
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", b.addr)
	if err != nil {
		return nil, err
	}
	return &backendConn{c, bufio.NewReader(c)}, nil
}

func (b *backend) keep(c *backendConn) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if !b.ready {
		_ = c.Close()
		return
	}
	b.idle = append(b.idle, c)
}

// choose is the next backend that is ready.
func (b *balancer) choose() *backend {
	b.lock.Lock()
	defer b.lock.Unlock()
	for range b.backends {
		b.next++
		if back := b.backends[b.next%len(b.backends)]; back.isReady() {
			return back
		}
	}
	return nil
}

func (b *balancer) count(what string) {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.counts[what]++
}

var errRefused = errors.New("no backend took the connection")

// ServeHTTP sends the request to one backend, once.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	got, err := b.forward(r)
	switch {
	case errors.Is(err, errRefused):
		b.count(r.Method + " refused")
	case err != nil:
		b.count(r.Method + " broken off")
	case got.status >= http.StatusInternalServerError:
		b.count(r.Method + " answered 5xx")
	default:
		b.count(r.Method + " answered")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	for name, values := range got.header {
		if name != "Connection" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(got.status)
	_, _ = w.Write(got.body)
}

// reply is a backend's whole answer.
type reply struct {
	status int
	header http.Header
	body   []byte
	last   bool // it ends its connection
}

func (b *balancer) forward(r *http.Request) (reply, error) {
	back := b.choose()
	if back == nil {
		return reply{}, errRefused
	}
	c, err := back.dial(r.Context())
	if err != nil {
		return reply{}, errors.Join(errRefused, err)
	}
	got, err := c.exchange(r)
	if err != nil || got.last {
		_ = c.Close()
	} else {
		back.keep(c)
	}
	return got, err
}

// exchange sends the request and reads the answer.
func (c *backendConn) exchange(r *http.Request) (reply, error) {
	if err := r.Write(c); err != nil {
		return reply{}, err
	}
	response, err := http.ReadResponse(c.answers, r)
	if err != nil {
		return reply{}, err
	}
	body, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, body, response.Close}, errors.Join(err, response.Body.Close())
}
