package lifecycle_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/node/lifecycle"
)

// taking tells of each connection that the server has taken.
type taking struct {
	net.Listener
	taken chan struct{}
}

func (l taking) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.taken <- struct{}{}
	}
	return conn, err
}

type stopping struct {
	*testing.T
	addr  string
	taken chan struct{}
	stop  context.CancelFunc
	ended chan error
}

func newStopping(t *testing.T, handler http.HandlerFunc) *stopping {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &stopping{T: t, addr: listener.Addr().String(), taken: make(chan struct{}, 100), ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	serving := lifecycle.Serve(server, taking{listener, s.taken})
	t.Cleanup(func() { _ = serving.Close() })
	go func() { s.ended <- serving.UntilDone(ctx, nil) }()
	return s
}

// connect returns a connection that the server has taken and that has asked nothing.
func (s *stopping) connect() net.Conn {
	s.Helper()
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(s, err)
	s.Cleanup(func() { _ = conn.Close() })
	<-s.taken
	return conn
}

// ask requires an answer, and reports whether it is the last on this connection.
func (s *stopping) ask(conn net.Conn, path string) (last bool) {
	s.Helper()
	_, err := io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\norder")
	require.NoError(s, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(s, err, "a request on a connection that was taken got no answer")
	require.NoError(s, response.Body.Close())
	require.Equal(s, http.StatusOK, response.StatusCode)
	return response.Close
}

// begin tells the server to stop, and waits until it refuses connections and has closed one that was idle.
func (s *stopping) begin() {
	s.Helper()
	idle := s.connect()
	require.False(s, s.ask(idle, "/"))
	s.stop()
	_, err := idle.Read(make([]byte, 1))
	require.ErrorIs(s, err, io.EOF)
	_, err = net.Dial("tcp", s.addr)
	require.ErrorIs(s, err, syscall.ECONNREFUSED)
}

// A server that stops refuses connections, and answers the first request of each that it has taken.
func TestAConnectionThatWasTakenIsAnswered(t *testing.T) {
	t.Parallel()
	s := newStopping(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	late, gone := s.connect(), s.connect()
	s.begin()
	require.NoError(t, gone.Close()) // it never asks
	require.True(t, s.ask(late, "/"), "the client may ask once more on a connection that is about to be closed")
	began := time.Now()
	require.NoError(t, <-s.ended)
	require.Less(t, time.Since(began), 4*time.Second, "nothing was left to wait for")
}

// A request under way is answered, and the stop waits for it.
func TestARequestUnderWayIsAnswered(t *testing.T) {
	t.Parallel()
	begun, goOn := make(chan struct{}), make(chan struct{})
	s := newStopping(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(begun)
			<-goOn
		}
	})
	answered := make(chan bool)
	conn := s.connect()
	go func() { answered <- s.ask(conn, "/slow") }()
	<-begun
	s.begin()
	select {
	case err := <-s.ended:
		require.Fail(t, "it has not waited", "%v", err)
	default:
	}
	close(goOn)
	require.True(t, <-answered, "the client may ask once more")
	require.NoError(t, <-s.ended)
}
