package api

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"example.com/orderly/internal/fault"
)

// errStarting is the answer to a request that comes before there is an API.
var errStarting = fault.New(fault.Unavailable, "starting", "this process is still starting; try again")

// Door answers from the moment a process listens. Before there is an API behind it, /healthz says that the process is alive, /readyz
// that it is starting, and any other request is answered 503 with Retry-After. Without it requests would hang, and a supervisor that
// restarts what does not answer would never let the process finish its start.
//
// After Leave, /readyz says that the process is stopping, and every answer ends its connection, so that a load balancer sends its next
// request elsewhere. All requests are still answered as before.
type Door struct {
	// PublicURL is that of Config. It is set before the door serves.
	PublicURL string

	log     *slog.Logger
	health  bool // this port tells about health
	api     atomic.Pointer[API]
	leaving atomic.Bool
}

// NewDoor returns a door with nothing behind it, which tells about the health of the process.
func NewDoor(log *slog.Logger) *Door { return &Door{log: log, health: true} }

// NewDoorWithoutHealth returns a door with nothing behind it, for a process that tells about its health on another port: /healthz and
// /readyz are requests like any other here.
func NewDoorWithoutHealth(log *slog.Logger) *Door { return &Door{log: log} }

// Open makes a answer all requests from now on.
func (d *Door) Open(a *API) { d.api.Store(a) }

// Leave makes /readyz answer 503 from now on, and each answer end its connection. Idle connections stay open: closing one could meet a
// request that is on its way.
func (d *Door) Leave() { d.leaving.Store(true) }

// ServeHTTP implements http.Handler.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handling(r)
	w = closing{w, &d.leaving}
	path := ""
	if d.health {
		path = r.URL.EscapedPath()
	}
	stopping := d.leaving.Load() && path == "/readyz"
	if a := d.api.Load(); a != nil && !stopping {
		a.ServeHTTP(w, r)
		return
	}
	given := newAnswer()
	x := &exchange{requestID: requestID(r.Header), path: r.URL.EscapedPath(), publicURL: d.PublicURL}
	switch path {
	case "/healthz":
		writeJSON(given, http.StatusOK, "application/json", healthBody{"ok"})
	case "/readyz":
		given.header.Set("Retry-After", "1")
		body := readyBody{"starting", []checkBody{}}
		if stopping {
			body.Status = "stopping"
		}
		writeJSON(given, http.StatusServiceUnavailable, "application/json", body)
	default:
		x.refuse(given, failureOf(r.Context(), errStarting), errStarting)
	}
	given.header.Set("X-Request-ID", x.requestID)
	given.send(w)
}

// closing ends the connection with each answer that is written while the process leaves, also to a request that came before.
type closing struct {
	http.ResponseWriter
	leaving *atomic.Bool
}

// WriteHeader implements http.ResponseWriter.
func (c closing) WriteHeader(status int) {
	if c.leaving.Load() {
		c.Header().Set("Connection", "close")
	}
	c.ResponseWriter.WriteHeader(status)
}

// Server returns an http.Server for the door with every limit set; callers choose the listener and wrap it in Listener. Its Shutdown first
// answers the requests that wait for an order's end with the order as it stands.
func (d *Door) Server() *http.Server {
	server := &http.Server{
		Handler:           d,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       answerWithin,
		WriteTimeout:      longestWait + 2*answerWithin,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelWarn),

		DisableGeneralOptionsHandler: true, // OPTIONS * comes to the handler like any other request
	}
	watchConnections(server)
	server.RegisterOnShutdown(func() {
		if a := d.api.Load(); a != nil {
			a.drain()
		}
	})
	return server
}
