package testenv

import (
	"crypto/tls"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// FailingPostgres speaks PostgreSQL's protocol and has no database: it refuses logins or statements with the SQLSTATE it was told.
type FailingPostgres struct {
	addr              string
	login, statements atomic.Pointer[pgproto3.ErrorResponse]
	cut               atomic.Bool
	// Sessions counts those that got past the login.
	Sessions atomic.Int64
}

// NewFailingPostgres serves until the test ends; without a certificate it says that it does not speak TLS, as a server does whose settings turn it off.
func NewFailingPostgres(t testing.TB, certificate *tls.Config) *FailingPostgres {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	p := &FailingPostgres{addr: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				p.serve(conn, certificate)
			}()
		}
	}()
	return p
}

// Addr is its host:port.
func (p *FailingPostgres) Addr() string { return p.addr }

// URL is where it is, without sslmode.
func (p *FailingPostgres) URL() string { return "postgres://app:s3cret@" + p.addr + "/orderly" }

// CutLogins closes each connection at its login, without a word.
func (p *FailingPostgres) CutLogins() { p.cut.Store(true) }

// RefuseLogins answers each login with the SQLSTATE from now on; the empty one lets them in.
func (p *FailingPostgres) RefuseLogins(sqlstate, message string) {
	p.login.Store(refusal("FATAL", sqlstate, message))
}

// RefuseStatements answers each statement with the SQLSTATE from now on, but for what begins, sets up and ends a session or a transaction.
func (p *FailingPostgres) RefuseStatements(sqlstate, message string) {
	p.statements.Store(refusal("ERROR", sqlstate, message))
}

func refusal(severity, sqlstate, message string) *pgproto3.ErrorResponse {
	if sqlstate == "" {
		return nil
	}
	return &pgproto3.ErrorResponse{Severity: severity, SeverityUnlocalized: severity, Code: sqlstate, Message: message}
}

func (p *FailingPostgres) serve(conn net.Conn, certificate *tls.Config) {
	backend := pgproto3.NewBackend(conn, conn)
	for {
		message, err := backend.ReceiveStartupMessage()
		if err != nil {
			return
		}
		if _, asked := message.(*pgproto3.SSLRequest); asked && certificate != nil {
			if _, err := conn.Write([]byte("S")); err != nil {
				return
			}
			secure := tls.Server(conn, certificate)
			conn, certificate = secure, nil
			backend = pgproto3.NewBackend(secure, secure)
			continue
		} else if asked {
			if _, err := conn.Write([]byte("N")); err != nil {
				return
			}
			continue
		}
		break
	}
	if p.cut.Load() {
		return
	}
	if refused := p.login.Load(); refused != nil {
		backend.Send(refused)
		_ = backend.Flush()
		return
	}
	p.Sessions.Add(1)
	backend.Send(&pgproto3.AuthenticationOk{})
	s := session{Backend: backend, status: 'I'}
	s.ready()
	for backend.Flush() == nil {
		message, err := backend.Receive()
		if err != nil {
			return
		}
		if !s.answer(message, p.statements.Load()) {
			return
		}
	}
}

// session is one client's session.
type session struct {
	*pgproto3.Backend
	status byte
	failed bool // what comes before the next Sync is skipped
}

func (s *session) ready() { s.Send(&pgproto3.ReadyForQuery{TxStatus: s.status}) }

func (s *session) answer(message pgproto3.FrontendMessage, refused *pgproto3.ErrorResponse) (more bool) {
	switch m := message.(type) {
	case *pgproto3.Terminate:
		return false
	case *pgproto3.Query:
		s.simple(strings.ToLower(m.String), refused)
		s.ready()
	case *pgproto3.Parse:
		if refused != nil && !s.failed {
			s.refuse(refused)
			s.failed = true
		}
	case *pgproto3.Sync:
		s.failed = false
		s.ready()
	}
	return true
}

func (s *session) simple(text string, refused *pgproto3.ErrorResponse) {
	verb, _, _ := strings.Cut(strings.TrimLeft(text, " "), " ")
	switch strings.TrimRight(verb, ";") {
	case "begin":
		s.status = 'T'
	case "commit", "rollback":
		s.status = 'I'
	case "set":
	case "--":
		s.Send(&pgproto3.EmptyQueryResponse{})
		return
	default:
		if refused != nil {
			s.refuse(refused)
			return
		}
	}
	s.Send(&pgproto3.CommandComplete{CommandTag: []byte(strings.ToUpper(verb))})
}

func (s *session) refuse(refused *pgproto3.ErrorResponse) {
	s.Send(refused)
	if s.status == 'T' {
		s.status = 'E'
	}
}
