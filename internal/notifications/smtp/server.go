// Package smtp is the notifications.Sender that hands mails to a mail server, and what the answers of mail servers mean.
package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"example.com/orderly/internal/notifications"
)

const (
	dialTimeout = 10 * time.Second
	// answerTimeout is how long the server may take to answer to a whole mail. When it runs out the mail may have been taken, and is sent
	// once more: this is the time not to save on.
	answerTimeout = 30 * time.Second
	// talkTimeout is how long everything before may take, dialling included.
	talkTimeout = notifications.SendTimeout - answerTimeout
	byeTimeout  = 2 * time.Second
)

// Server is a mail server, which gets each message over a connection of its own.
type Server struct {
	host     string
	port     int
	tls      bool // from the first byte
	user     string
	secret   string
	hello    string // the name that we give
	patience patience

	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	roots *x509.CertPool // nil: the machine's
}

// patience is how long things may take.
type patience struct{ dial, talk, answer time.Duration }

var _ notifications.Sender = (*Server)(nil)

// New returns the server behind smtp://[user:password@]host[:port] (port 25) or smtps://... (TLS from the first byte, port
// 465). With smtp:// the connection is encrypted where the server offers it, except on this machine; a password is never sent
// to another machine in the clear. It does not connect. The error says what is wrong with the URL and never shows it.
func New(rawURL string) (*Server, error) {
	s, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	if s.hello, err = os.Hostname(); err != nil {
		return nil, fmt.Errorf("read this machine's name: %w", err)
	}
	s.patience = patience{dial: dialTimeout, talk: talkTimeout, answer: answerTimeout}
	s.dial = (&net.Dialer{}).DialContext
	return s, nil
}

// Send hands m over; nil means the server has taken it. The error has a *notifications.Failure in it, and does not quote the recipient.
func (s *Server) Send(ctx context.Context, m notifications.Message) error {
	ctx, cancel := context.WithTimeout(ctx, s.patience.talk+s.patience.answer)
	defer cancel()
	c, err := s.open(ctx)
	if err == nil {
		err = c.deliver(m, s.patience.answer)
		c.close()
	}
	if err != nil {
		return fmt.Errorf("send mail %s: %w", m.ID, err)
	}
	return nil
}

func (s *Server) address() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }

func (s *Server) secure() *tls.Config {
	return &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12, RootCAs: s.roots}
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
