package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"time"

	gosmtp "github.com/wneessen/go-mail/smtp"

	"example.com/orderly/internal/notifications"
)

// conversation is a connection to a mail server.
type conversation struct {
	ctx     context.Context
	conn    net.Conn
	client  *gosmtp.Client
	release func() bool // makes the connection outlive ctx
	utf8    bool        // the mail asks for SMTPUTF8
}

// errInTheClear means that TLS has failed and the settings allow to do without.
var errInTheClear = errors.New("TLS failed")

// open connects, encrypts and logs in, as the settings say. The connection ends with ctx.
func (s *Server) open(ctx context.Context) (*conversation, error) {
	end := time.Now().Add(s.patience.talk)
	c, err := s.connect(ctx, end, s.Encryption)
	if errors.Is(err, errInTheClear) {
		c, err = s.connect(ctx, end, None)
	}
	return c, err
}

func (s *Server) connect(ctx context.Context, end time.Time, how Encryption) (*conversation, error) {
	c := &conversation{ctx: ctx}
	dialling, cancel := context.WithTimeout(ctx, s.patience.dial)
	defer cancel()
	conn, err := s.dial(dialling, "tcp", s.address())
	if err != nil {
		return nil, c.failed(connecting, err)
	}
	c.conn, c.release = conn, context.AfterFunc(ctx, func() { _ = conn.Close() })
	_ = conn.SetDeadline(end)
	if err := s.begin(c, how); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// begin brings the conversation to where a mail can be sent.
func (s *Server) begin(c *conversation, how Encryption) (err error) {
	conn, immediate := c.conn, how == Immediate || how == ImmediateInsecure
	if immediate {
		over := tls.Client(conn, s.secure())
		if err := over.HandshakeContext(c.ctx); err != nil {
			return c.failed(handshake, err)
		}
		conn = over
	}
	if c.client, err = gosmtp.NewClient(conn, s.Host); err != nil {
		return c.failed(greeting, err)
	}
	if err := c.client.Hello(s.Hello); err != nil {
		return c.failed(ehlo, err)
	}
	if !immediate {
		if err := s.encrypt(c, how); err != nil {
			return err
		}
	}
	if s.User == "" {
		return nil
	}
	return s.login(c)
}

// encrypt begins TLS, or does not, as the settings say.
func (s *Server) encrypt(c *conversation, how Encryption) error {
	offered, _ := c.client.Extension("STARTTLS")
	switch {
	case how == None, how == Offered && s.onThisMachine():
		return nil
	case !offered && (how == Required || how == Insecure):
		return refused(starttls, "the server offers no TLS, and SMTP_URL says tls=%s", how)
	case !offered:
		return nil
	}
	err := c.client.StartTLS(s.secure())
	_, answered := errors.AsType[*textproto.Error](err)
	state, begun := c.client.TLSConnectionState()
	switch {
	case err == nil:
		return nil
	case !begun && answered && how == Opportunistic:
		return nil // the server says no, and listens on
	case !begun:
		return c.failed(starttls, err)
	case !state.HandshakeComplete && how == Opportunistic:
		return errInTheClear
	case !state.HandshakeComplete:
		return c.failed(handshake, err)
	default:
		return c.failed(ehlo, err)
	}
}

// login gives user and password, by the best method that both sides know.
func (s *Server) login(c *conversation) error {
	_, encrypted := c.client.TLSConnectionState()
	_, offer := c.client.Extension("AUTH")
	offered := map[string]bool{}
	for _, method := range strings.Fields(strings.ToUpper(offer)) {
		offered[method] = true
	}
	var by gosmtp.Auth
	switch {
	case offered["SCRAM-SHA-256"]:
		by = gosmtp.ScramSHA256Auth(s.User, s.Password)
	case offered["CRAM-MD5"]:
		by = gosmtp.CRAMMD5Auth(s.User, s.Password)
	case !offered["PLAIN"] && !offered["LOGIN"]:
		return refused(auth, "SMTP_URL has a user, and the server offers no login of a kind that we know (%q): see whether it wants another port, TLS or no login", offer)
	case !encrypted && !s.Cleartext && !s.onThisMachine():
		return refused(auth, "the password would go over an unencrypted connection: the server must offer TLS, or SMTP_URL must say auth=cleartext, "+
			"which is for a network of your own")
	case offered["PLAIN"]:
		by = gosmtp.PlainAuth("", s.User, s.Password, s.Host, true)
	default:
		by = gosmtp.LoginAuth(s.User, s.Password, s.Host, true)
	}
	if err := c.client.Auth(by); err != nil {
		return c.failed(auth, err)
	}
	return nil
}

// deliver hands over one mail, whose text is given. Nil means that the server has taken it.
func (c *conversation) deliver(m notifications.Message, text []byte, patience time.Duration) error {
	c.utf8 = !notifications.IsASCII(m.To.Address)
	if offered, _ := c.client.Extension("SMTPUTF8"); c.utf8 && !offered {
		return &notifications.Failure{Outcome: notifications.Recipient, Err: errors.New(
			"the recipient's address is not ASCII, which takes SMTPUTF8, and the mail server does not offer that")}
	}
	c.client.SkipSMTPUTF8(!c.utf8) // asked for without need, it would keep the mail from servers that lack it
	if err := unlessTaken(c.client.Mail(path(m.From))); err != nil {
		return c.failed(mailFrom, err)
	}
	if err := unlessTaken(c.client.Rcpt(path(m.To))); err != nil {
		return c.failed(rcptTo, err)
	}
	to, err := c.client.Data()
	if err != nil {
		return c.failed(data, err)
	}
	if _, err := to.Write(text); err != nil {
		return c.failed(data, err)
	}
	c.within(patience)
	if err := unlessTaken(to.Close()); err != nil {
		return c.failed(end, err)
	}
	return nil
}

// unlessTaken drops an error that is an answer of the class "done" (2yz of RFC 5321, section 4.2.1): the client knows one code of it for each
// command, and a mail that is taken with another would be sent again.
func unlessTaken(err error) error {
	if reply, answered := errors.AsType[*textproto.Error](err); answered && reply.Code/100 == 2 {
		return nil
	}
	return err
}

// path is an address as commands take it: without a name, in angle brackets, and quoted where it has to be.
func path(a mail.Address) string { return (&mail.Address{Address: a.Address}).String() }

// within bounds what follows.
func (c *conversation) within(limit time.Duration) { _ = c.conn.SetDeadline(time.Now().Add(limit)) }

// close says good-bye, which may fail, and ends the connection.
func (c *conversation) close() {
	if c.client != nil && c.client.HasConnection() {
		c.within(byeTimeout)
		_ = c.client.Quit()
	}
	c.release()
	_ = c.conn.Close()
}
