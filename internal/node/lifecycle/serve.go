package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// serving is an HTTP server at work.
type serving struct {
	server *http.Server
	ended  chan error
}

func begin(server *http.Server, listener net.Listener) serving {
	s := serving{server: server, ended: make(chan error, 1)}
	go func() { s.ended <- server.Serve(listener) }()
	return s
}

// untilDone serves until ctx ends, and then lets the requests under way come to their end.
func (s serving) untilDone(ctx context.Context, beforeStop func() error) error {
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
