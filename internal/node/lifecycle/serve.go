package lifecycle

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// Serving is an HTTP server that has been started.
type Serving struct {
	server   *http.Server
	listener net.Listener
	arrivals *arrivals
	ended    chan error
}

// Serve begins to serve what connects to the listener. The server has a Handler.
func Serve(server *http.Server, listener net.Listener) Serving {
	s := Serving{server: server, listener: listener, arrivals: watchArrivals(server), ended: make(chan error, 1)}
	go func() { s.ended <- server.Serve(listener) }()
	return s
}

// UntilDone serves until ctx ends. It then calls beforeStop, where given, takes no more connections, and waits at most ten seconds for the
// requests under way before it closes their connections. An error of beforeStop is returned at once, and the server goes on until Close.
func (s Serving) UntilDone(ctx context.Context, beforeStop func() error) error {
	select {
	case err := <-s.ended:
		return err
	case <-ctx.Done():
	}
	if beforeStop != nil {
		if err := beforeStop(); err != nil {
			return err
		}
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := s.listener.Close(); err != nil {
		return errors.Join(err, s.server.Close())
	}
	<-s.ended
	// Once Shutdown has begun, net/http closes a connection without an answer when its first request comes. So those that were taken and
	// have not asked yet are answered before; their server closes them after ReadHeaderTimeout if nothing comes.
	s.server.SetKeepAlivesEnabled(false)
	s.arrivals.wait(grace)
	if err := s.server.Shutdown(grace); err != nil {
		return errors.Join(err, s.server.Close())
	}
	return nil
}

// Close ends every connection at once.
func (s Serving) Close() error { return s.server.Close() }
