// Package smtp is the notifications.Sender that hands mails to a mail server, and what the answers of mail servers mean.
package smtp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
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
	Settings
	patience patience
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	roots    *x509.CertPool // nil: those of this machine
}

// patience is how long things may take.
type patience struct{ dial, talk, answer time.Duration }

var _ notifications.Sender = (*Server)(nil)

// New returns the server of these settings. name is the one that we give where the settings say none: the domain that mails come from,
// since the name of a container means nothing to a mail server, and strict ones refuse it. It reads the file with certificates, and does
// not connect.
func New(settings Settings, name string) (*Server, error) {
	if settings.Hello == "" {
		settings.Hello = name
	}
	s := &Server{
		Settings: settings, dial: (&net.Dialer{}).DialContext,
		patience: patience{dial: dialTimeout, talk: talkTimeout, answer: answerTimeout},
	}
	if settings.CA == "" {
		return s, nil
	}
	certificates, err := os.ReadFile(settings.CA)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	s.roots = x509.NewCertPool()
	if !s.roots.AppendCertsFromPEM(certificates) {
		return nil, fmt.Errorf("ca: %s has no certificate in it: it must be in PEM form (-----BEGIN CERTIFICATE-----)", settings.CA)
	}
	return s, nil
}

// Send hands m over; nil means the server has taken it. The error does not quote the recipient.
func (s *Server) Send(ctx context.Context, m notifications.Message) error {
	ctx, cancel := context.WithTimeout(ctx, s.patience.talk+s.patience.answer)
	defer cancel()
	var text bytes.Buffer // whole before it is sent: nothing but the connection can end it halfway
	_, err := m.MIME().WriteTo(&text)
	if err == nil {
		err = s.send(ctx, m, text.Bytes())
	}
	if err != nil {
		return fmt.Errorf("send mail %s: %w", m.ID, err)
	}
	return nil
}

func (s *Server) send(ctx context.Context, m notifications.Message, text []byte) error {
	c, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	return c.deliver(m, text, s.patience.answer)
}

// Check connects, encrypts and logs in as for a mail, and sends none. The error is one of Send.
func (s *Server) Check(ctx context.Context) error {
	c, err := s.open(ctx)
	if err == nil {
		c.close()
	}
	return err
}

func (s *Server) address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

func (s *Server) secure() *tls.Config {
	name, _, _ := strings.Cut(s.Host, "%") // a certificate is not for the zone of an IPv6 address
	return &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12, RootCAs: s.roots, InsecureSkipVerify: !s.verifies()}
}

func (s *Server) onThisMachine() bool {
	return s.Host == "localhost" || net.ParseIP(s.Host).IsLoopback()
}
