package api

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// plainAnswers are those that net/http writes by itself, in plain text, because there is no request yet that a handler could be given. In
// their place the client gets these.
var plainAnswers = map[int]refusal{
	http.StatusBadRequest: {
		http.StatusBadRequest, "malformed_request", "the request line or a header can't be read"},
	http.StatusExpectationFailed: {
		http.StatusExpectationFailed, "expectation_failed", "the only expectation that is met is Expect: 100-continue"},
	http.StatusRequestHeaderFieldsTooLarge: {
		http.StatusRequestHeaderFieldsTooLarge, "header_too_large", "the request line and the headers have at most 16 KiB together"},
	http.StatusNotImplemented: {
		http.StatusNotImplemented, "transfer_encoding_unsupported", "the only transfer encoding that is read is chunked"},
	http.StatusHTTPVersionNotSupported: {
		http.StatusHTTPVersionNotSupported, "http_version_unsupported", "send the request as HTTP/1.1 or HTTP/1.0"},
}

// Listener returns l with connections on which the answers that net/http gives by itself are problem documents, too. Only the server of
// Server heeds it.
func (d *Door) Listener(l net.Listener) net.Listener { return doorListener{l, d} }

type doorListener struct {
	net.Listener
	door *Door
}

// Accept implements net.Listener.
func (l doorListener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &connection{Conn: accepted, door: l.door}, nil
}

// connection knows whether what is written to it is a handler's.
type connection struct {
	net.Conn
	door *Door
	// handled: the handler was given the request that is being answered. It stays so until the answer was sent as a whole.
	handled atomic.Bool
}

type connectionKey struct{}

// watchConnections makes the server tell its connections what they are used for.
func watchConnections(server *http.Server) {
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, c)
	}
	server.ConnState = func(c net.Conn, state http.ConnState) {
		if own, ok := c.(*connection); ok && state == http.StateIdle {
			own.handled.Store(false)
		}
	}
}

// handling says of the request's connection that what it sends next is a handler's.
func handling(r *http.Request) {
	if own, ok := r.Context().Value(connectionKey{}).(*connection); ok {
		own.handled.Store(true)
	}
}

// Write implements net.Conn. Each of the answers of net/http itself is one call.
func (c *connection) Write(b []byte) (int, error) {
	if !c.handled.Load() {
		if instead, ok := c.door.inPlaceOf(b); ok {
			if _, err := c.Conn.Write(instead); err != nil {
				return 0, err
			}
			return len(b), nil
		}
	}
	return c.Conn.Write(b)
}

// CloseWrite is what net/http calls so that a client which still sends reads the answer first.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// inPlaceOf is the problem document that says what an answer of net/http says.
func (d *Door) inPlaceOf(plain []byte) (document []byte, ok bool) {
	line, _, _ := bytes.Cut(plain, []byte("\r\n"))
	fields := strings.SplitN(string(line), " ", 3)
	if len(fields) < 3 || !strings.HasPrefix(fields[0], "HTTP/1.") {
		return nil, false
	}
	status, err := strconv.Atoi(fields[1])
	if err != nil {
		return nil, false
	}
	said, ok := plainAnswers[status]
	if !ok {
		return nil, false
	}
	if _, cause, found := strings.Cut(fields[2], ": "); found && status == http.StatusBadRequest {
		said.detail += ": " + cause // one of a few constants, such as "missing required Host header"
	}
	given, x := newAnswer(), &exchange{requestID: uuid.NewString(), publicURL: d.PublicURL}
	x.refuse(given, failure{status: said.status, code: said.code, detail: said.detail}, &said)
	given.header.Set("X-Request-ID", x.requestID)
	given.header.Set("Connection", "close")
	given.header.Set("Content-Length", strconv.Itoa(given.body.Len()))
	given.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	d.recordPlain(x, said)

	var out bytes.Buffer
	_, _ = fmt.Fprintf(&out, "HTTP/1.1 %d %s\r\n", said.status, http.StatusText(said.status))
	_ = given.header.Write(&out) // a buffer takes everything
	out.WriteString("\r\n")
	out.Write(given.body.Bytes())
	return out.Bytes(), true
}

// recordPlain logs and counts what no handler has seen.
func (d *Door) recordPlain(x *exchange, said refusal) {
	d.log.LogAttrs(context.Background(), slog.LevelInfo, "request refused before it could be read",
		slog.Int("status", said.status), slog.String("code", said.code), slog.String("request_id", x.requestID))
	if a := d.api.Load(); a != nil {
		a.metrics.requests.WithLabelValues("unmatched", "other", strconv.Itoa(said.status)).Inc()
	}
}
