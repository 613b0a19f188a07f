package notifications_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/notifications"
)

// hang as an answer means none at all; hangUp ends the connection.
const (
	hang   = "hang"
	hangUp = "hang up"
)

// mailServer speaks as much SMTP as a client needs to hand over a mail. Greeting, each command and the end of the data (".")
// can be given another answer.
type mailServer struct {
	addr   string
	offers []string
	secure *tls.Config

	lock    sync.Mutex
	answers map[string]string
	heard   []string
	got     []string
	open    atomic.Int64 // connections that have not ended
}

func newServer(t *testing.T, offers ...string) *mailServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &mailServer{addr: listener.Addr().String(), offers: offers, answers: map[string]string{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.open.Add(1)
			end := context.AfterFunc(t.Context(), func() { _ = conn.Close() })
			all.Go(func() {
				s.talk(conn)
				_ = conn.Close()
				end()
				s.open.Add(-1)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		all.Wait()
	})
	return s
}

// requireLeft waits until every connection has ended. On a busy machine an impatient client may have made none.
func (s *mailServer) requireLeft(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return s.open.Load() == 0 }, 30*time.Second, time.Millisecond, "a connection was left open")
}

// sender is an SMTP sender for the server.
func (s *mailServer) sender(t *testing.T) notifications.Sender {
	t.Helper()
	sender, err := notifications.SMTP("smtp://"+s.addr, shop)
	require.NoError(t, err)
	return sender
}

// answer sets another answer to a command; an empty one is the usual again.
func (s *mailServer) answer(to, with string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.answers[to] = with
	if with == "" {
		delete(s.answers, to)
	}
}

func (s *mailServer) mails() []string {
	s.lock.Lock()
	defer s.lock.Unlock()
	return append([]string{}, s.got...)
}

func (s *mailServer) commands() string {
	s.lock.Lock()
	defer s.lock.Unlock()
	return strings.Join(s.heard, "\n")
}

func (s *mailServer) hear(line string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.heard = append(s.heard, line)
}

// refuses reports whether something else than the usual answer was set.
func (s *mailServer) refuses(command string) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	_, set := s.answers[command]
	return set
}

// say gives the usual answer, or the one that was set, and reports whether to go on.
func (s *mailServer) say(conn net.Conn, to, usual string) bool {
	s.lock.Lock()
	answer, set := s.answers[to]
	s.lock.Unlock()
	switch {
	case !set:
		answer = usual
	case answer == hangUp:
		return false
	case answer == hang:
		_, _ = conn.Read(make([]byte, 1)) // until the client has had enough
		return false
	}
	_, err := fmt.Fprintf(conn, "%s\r\n", answer)
	return err == nil
}

func (s *mailServer) talk(conn net.Conn) {
	lines := bufio.NewReader(conn)
	for going := s.say(conn, "greeting", "220 test ready"); going; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		s.hear(line)
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "EHLO":
			can := append([]string{"250-test", "ENHANCEDSTATUSCODES"}, s.offers...)
			going = s.say(conn, verb, strings.Join(can, "\r\n250-")+"\r\n250 OK")
		case "STARTTLS":
			if going = s.say(conn, verb, "220 go on"); going && s.secure != nil {
				conn = tls.Server(conn, s.secure)
				lines = bufio.NewReader(conn)
			}
		case "AUTH":
			if _, given, found := strings.Cut(rest, "PLAIN "); found {
				decoded, _ := base64.StdEncoding.DecodeString(given)
				s.hear("password " + strings.ReplaceAll(string(decoded), "\x00", "|"))
			}
			going = s.say(conn, verb, "235 welcome")
		case "DATA":
			if going = s.say(conn, verb, "354 go on"); !going || s.refuses(verb) {
				continue
			}
			var mail strings.Builder
			for {
				line, err := lines.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				mail.WriteString(strings.TrimPrefix(line, "."))
			}
			if !s.refuses(".") {
				s.lock.Lock()
				s.got = append(s.got, mail.String())
				s.lock.Unlock()
			}
			going = s.say(conn, ".", "250 2.0.0 taken")
		case "QUIT":
			s.say(conn, verb, "221 bye")
			return
		default:
			going = s.say(conn, verb, "250 2.0.0 ok")
		}
	}
}

// tlsInFrontOf takes TLS connections and passes what is said on to addr.
func tlsInFrontOf(t *testing.T, addr string, certificates []tls.Certificate) string {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certificates})
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			outside, err := listener.Accept()
			if err != nil {
				return
			}
			inside, err := net.Dial("tcp", addr)
			if err != nil {
				return
			}
			for _, pair := range [][2]net.Conn{{outside, inside}, {inside, outside}} {
				all.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = errors.Join(pair[0].Close(), pair[1].Close())
				})
			}
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		all.Wait()
	})
	return listener.Addr().String()
}
