package lifecycle

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// Serving is an HTTP server at work.
type Serving struct {
	server *http.Server
	ended  chan error
}

// Serve begins to serve what connects to the listener.
func Serve(server *http.Server, listener net.Listener) Serving {
	s := Serving{server: server, ended: make(chan error, 1)}
	go func() { s.ended <- server.Serve(listener) }()
	return s
}

// UntilDone serves until ctx ends, and then waits for the requests under way. beforeStop, where given, is called first.
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
	// ctx has ended, the requests under way have not.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := s.server.Shutdown(grace); err != nil {
		return errors.Join(err, s.server.Close())
	}
	return nil
}

// Close ends every connection at once.
func (s Serving) Close() error { return s.server.Close() }
