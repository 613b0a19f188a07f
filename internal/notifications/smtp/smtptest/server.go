// Package smtptest is a mail server for tests that says what it is told to say.
package smtptest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Hang as an answer means none at all; HangUp ends the connection.
const (
	Hang   = "hang"
	HangUp = "hang up"
)

// Server speaks as much SMTP as a client needs to hand over a mail. Greeting ("greeting"), each command ("EHLO", "RCPT", ...) and
// the end of the data (".") can be given another answer.
type Server struct {
	// Addr is host:port.
	Addr string
	// Secure is what STARTTLS begins TLS with; without it the server only says that it does.
	Secure *tls.Config
	// Slow is how long the end of a mail waits for its answer. It is set before the first mail.
	Slow time.Duration

	ended   <-chan struct{} // closed when the test ends
	offers  []string
	lock    sync.Mutex
	answers map[string]string
	heard   []string
	got     []Taken
	open    atomic.Int64
}

// Taken is a mail that the server took.
type Taken struct {
	Mail string
	From string    // what its client called itself
	At   time.Time // when its end had come, which is before it is answered
}

// New starts a server on this machine that offers these extensions, until the test ends.
func New(t testing.TB, offers ...string) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return Serve(t, listener, offers...)
}

// Serve is New on a listener of the caller's, which is closed when the test ends.
func Serve(t testing.TB, listener net.Listener, offers ...string) *Server {
	t.Helper()
	s := &Server{Addr: listener.Addr().String(), offers: offers, ended: t.Context().Done(), answers: map[string]string{}}
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

// URL is what SMTP_URL would say.
func (s *Server) URL() string { return "smtp://" + s.Addr }

// Answer sets another answer to a command; an empty one is the usual again.
func (s *Server) Answer(to, with string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.answers[to] = with
	if with == "" {
		delete(s.answers, to)
	}
}

// Mails are those the server took.
func (s *Server) Mails() []string {
	s.lock.Lock()
	defer s.lock.Unlock()
	mails := []string{}
	for _, taken := range s.got {
		mails = append(mails, taken.Mail)
	}
	return mails
}

// Taken is Mails with when they came and from whom.
func (s *Server) Taken() []Taken {
	s.lock.Lock()
	defer s.lock.Unlock()
	return append([]Taken{}, s.got...)
}

// Commands are those the server heard, one a line. After STARTTLS follows "encrypted", if it came to that, and after AUTH PLAIN the
// password, as "password |user|password".
func (s *Server) Commands() string {
	s.lock.Lock()
	defer s.lock.Unlock()
	return strings.Join(s.heard, "\n")
}

// Left reports that every connection has ended. On a busy machine an impatient client may have made none.
func (s *Server) Left() bool { return s.open.Load() == 0 }

func (s *Server) hear(line string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.heard = append(s.heard, line)
}

// refuses reports whether an answer was set that is not of the class "done".
func (s *Server) refuses(command string) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	answer, set := s.answers[command]
	return set && !strings.HasPrefix(answer, "2")
}

// changed reports whether another answer than the usual one was set.
func (s *Server) changed(command string) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	_, set := s.answers[command]
	return set
}

// say gives the usual answer, or the one that was set, and reports whether to go on.
func (s *Server) say(conn net.Conn, to, usual string) bool {
	s.lock.Lock()
	answer, set := s.answers[to]
	s.lock.Unlock()
	switch {
	case !set:
		answer = usual
	case answer == HangUp:
		return false
	case answer == Hang:
		_, _ = conn.Read(make([]byte, 1)) // until the client has had enough
		return false
	}
	_, err := fmt.Fprintf(conn, "%s\r\n", answer)
	return err == nil
}

func (s *Server) talk(conn net.Conn) {
	lines, from := bufio.NewReader(conn), ""
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
			from = rest
			can := append([]string{"250-test", "ENHANCEDSTATUSCODES"}, s.offers...)
			going = s.say(conn, verb, strings.Join(can, "\r\n250-")+"\r\n250 OK")
		case "STARTTLS":
			if going = s.say(conn, verb, "220 go on"); going && s.Secure != nil && !s.changed(verb) {
				secured := tls.Server(conn, s.Secure)
				if secured.Handshake() != nil {
					return
				}
				s.hear("encrypted")
				conn, lines = secured, bufio.NewReader(secured)
			}
		case "AUTH":
			if _, given, found := strings.Cut(rest, "PLAIN "); found {
				decoded, _ := base64.StdEncoding.DecodeString(given)
				s.hear("password " + strings.ReplaceAll(string(decoded), "\x00", "|"))
			}
			going = s.say(conn, verb, "235 welcome")
		case "DATA":
			if going = s.say(conn, verb, "354 go on"); !going || s.changed(verb) {
				continue
			}
			going = s.take(conn, lines, from)
		case "QUIT":
			s.say(conn, verb, "221 bye")
			return
		default:
			going = s.say(conn, verb, "250 2.0.0 ok")
		}
	}
}

// take reads a mail up to its end, and reports whether to go on.
func (s *Server) take(conn net.Conn, lines *bufio.Reader, from string) bool {
	var mail strings.Builder
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		mail.WriteString(strings.TrimPrefix(line, "."))
	}
	if !s.refuses(".") {
		s.lock.Lock()
		s.got = append(s.got, Taken{mail.String(), from, time.Now()})
		s.lock.Unlock()
	}
	if s.Slow > 0 {
		select {
		case <-time.After(s.Slow):
		case <-s.ended:
		}
	}
	return s.say(conn, ".", "250 2.0.0 taken")
}
