// Package smtp is the notifications.Sender that hands mails to a mail server.
package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"

	"example.com/orderly/events/listen"
	"example.com/orderly/internal/notifications"
)

// Server is a mail server, which gets each message over a connection of its own.
type Server struct {
	host    string
	port    int
	tls     bool // from the first byte
	user    string
	secret  string
	timeout time.Duration

	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	roots *x509.CertPool // nil: the machine's
}

// New returns the server behind smtp://[user:password@]host[:port] (port 25) or smtps://... (TLS from the first byte, port
// 465). With smtp:// the connection is encrypted where the server offers it, except on this machine; a password is never sent
// to another machine in the clear. It does not connect. The error says what is wrong with the URL and never shows it.
func New(rawURL string) (*Server, error) {
	at, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("the mail server's URL cannot be read") // the parser's own message may quote the password
	}
	s := &Server{host: at.Hostname(), port: 25, timeout: notifications.SendTimeout, dial: (&net.Dialer{}).DialContext}
	switch {
	case at.Scheme == "smtps":
		s.port, s.tls = 465, true
	case at.Scheme != "smtp":
		return nil, errors.New("the mail server's URL must start with smtp:// or smtps://")
	}
	if s.host == "" {
		return nil, errors.New("the mail server's URL names no host")
	}
	if at.Port() != "" {
		if s.port, err = strconv.Atoi(at.Port()); err != nil || s.port < 1 || s.port > 65535 {
			return nil, fmt.Errorf("the mail server's URL: %q is not a port", at.Port())
		}
	}
	if (at.Path != "" && at.Path != "/") || at.RawQuery != "" || at.Fragment != "" {
		return nil, errors.New("the mail server's URL: nothing may follow the port")
	}
	s.user = at.User.Username()
	s.secret, _ = at.User.Password()
	return s, nil
}

// Send hands m over; nil means the server has taken it. A recipient the server refuses for good is a permanent failure;
// everything else, our own configuration included, can be mended and is worth another attempt.
func (s *Server) Send(ctx context.Context, m notifications.Message) error {
	// The connection ends with this context, also while the client below waits.
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()

	client, err := gomail.NewClient(s.host, s.options(ctx)...)
	if err != nil {
		return fmt.Errorf("send mail %s: %w", m.ID, err)
	}
	msg := m.MIME()
	err = client.DialAndSendWithContext(ctx, msg)
	if err == nil || msg.IsDelivered() { // how the good-bye went does not matter
		return nil
	}
	refused, ok := errors.AsType[*gomail.SendError](err)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("send mail %s: the server did not finish in time: %w", m.ID, ctx.Err())
	case !ok: // before the recipient was named
		return fmt.Errorf("send mail %s: %w", m.ID, err)
	}
	// Neither the client's text nor the server's: both repeat the recipient's address.
	failure := fmt.Errorf("send mail %s: %s: the server answered %d %s",
		m.ID, refused.Reason, refused.ErrorCode(), refused.EnhancedStatusCode())
	if refused.Reason == gomail.ErrSMTPRcptTo && refused.ErrorCode() >= 500 {
		return listen.Permanent(failure)
	}
	return failure
}

func (s *Server) options(ctx context.Context) []gomail.Option {
	secure := &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12, RootCAs: s.roots}
	options := []gomail.Option{
		gomail.WithPort(s.port), gomail.WithTimeout(s.timeout), gomail.WithTLSConfig(secure),
		gomail.WithTLSPolicy(gomail.TLSOpportunistic),
		gomail.WithoutNoop(),
		gomail.WithoutSMTPUTF8(), // addresses are ASCII; asking for it would keep the mail from servers that lack it
		gomail.WithDialContextFunc(func(_ context.Context, network, address string) (net.Conn, error) {
			conn, err := s.dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			context.AfterFunc(ctx, func() { _ = conn.Close() })
			if !s.tls {
				return conn, nil
			}
			over := tls.Client(conn, secure)
			return over, over.HandshakeContext(ctx)
		}),
	}
	switch {
	case s.tls:
		options = append(options, gomail.WithSSL())
	case isLoopback(s.host):
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if s.user != "" {
		options = append(options, gomail.WithUsername(s.user), gomail.WithPassword(s.secret),
			// PLAIN and LOGIN refuse to run on an unencrypted connection to another machine.
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthCramMD5,
				gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	return options
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
