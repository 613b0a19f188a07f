package lifecycle

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// arrivals are the connections of a server on which no request has begun.
type arrivals struct {
	waiting sync.WaitGroup
	open    sync.Map // of *sync.Once, by net.Conn: ends the connection's arrival
}

type arrivalKey struct{}

// watchArrivals makes the server tell of its connections. A request has begun once the handler has it: net/http drops one that it has read
// when Shutdown begins before that.
func watchArrivals(server *http.Server) *arrivals {
	a, handler, connContext, connState := new(arrivals), server.Handler, server.ConnContext, server.ConnState
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		arrival := new(sync.Once)
		a.waiting.Add(1)
		a.open.Store(conn, arrival)
		if connContext != nil {
			ctx = connContext(ctx, conn)
		}
		return context.WithValue(ctx, arrivalKey{}, arrival)
	}
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		if connState != nil {
			connState(conn, state)
		}
		if state != http.StateClosed && state != http.StateHijacked {
			return
		}
		if arrival, open := a.open.LoadAndDelete(conn); open {
			arrival.(*sync.Once).Do(a.waiting.Done)
		}
	}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Context().Value(arrivalKey{}).(*sync.Once).Do(a.waiting.Done)
		handler.ServeHTTP(w, r)
	})
	return a
}

// wait returns when a request has begun on each connection, or the connection was closed, or ctx has ended. It may be called once the
// server takes no more connections.
func (a *arrivals) wait(ctx context.Context) {
	begun := make(chan struct{})
	go func() {
		a.waiting.Wait()
		close(begun)
	}()
	select {
	case <-begun:
	case <-ctx.Done():
	}
}
