package database

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/sqlite"
)

// SQLSTATE codes of transactions that lost to another one and succeed when run again
// (PostgreSQL, appendix A: serialization_failure, deadlock_detected, lock_not_available).
var lostStates = map[string]bool{"40001": true, "40P01": true, "55P03": true}

func lostToAnother(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return lostStates[pg.Code]
	}
	return sqlite.IsBusy(err)
}

// classify marks failures of the database itself as Unavailable, so that callers can answer "later" instead of "defect". All
// other errors pass unchanged.
func classify(err error) error {
	if err == nil || !serverGone(err) {
		return err
	}
	if _, already := fault.As(err); already {
		return err
	}
	return fmt.Errorf("%w: %w", fault.New(fault.Unavailable, "database_unavailable", "the database does not answer"), err)
}

// endings are the errors of a connection that the server or the network has ended.
var endings = []error{
	driver.ErrBadConn, sql.ErrConnDone, pgconn.ErrConnClosed, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.DeadlineExceeded,
}

func serverGone(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		// Classes 08 connection, 53 resources, 57P shutdown; and our own transactions that lost too often.
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57P") ||
			lostStates[pg.Code]
	}
	if lostToAnother(err) {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, end := range endings {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// ErrNoDatabase is in what Open returns when the server is there and the database is not.
var ErrNoDatabase = errors.New("there is no such database")

// explained adds the remedy to what a server refuses and waiting cannot mend. All other errors pass unchanged.
func explained(err error) error {
	if err == nil {
		return nil
	}
	if refused := explainedTLS(err); refused != nil {
		return refused
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	remedies := map[string]string{
		"28P01": "check the user and the password",
		"28000": "check the user, the password and whether the server asks for TLS (sslmode)",
		"42501": "grant the login that right, or use another login",
	}
	if pg.Code == "3D000" {
		return fmt.Errorf("PostgreSQL says: %s (%s); %w: run orderly migrate, or check the name", pg.Message, pg.Code, ErrNoDatabase)
	}
	remedy, known := remedies[pg.Code]
	if !known {
		return err
	}
	return fmt.Errorf("PostgreSQL says: %s (%s); %s", pg.Message, pg.Code, remedy)
}

// explainedTLS names what is wrong where the two sides do not agree on TLS; nil for any other error. It is not Unavailable: the server is
// there. Hence its words alone, without what it wraps.
func explainedTLS(err error) error {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case untrusted, unknown:
		return fmt.Errorf("the server's certificate is not trusted (%s); correct the host, or name who signed it with sslrootcert=...", err.Error())
	case plain, strings.Contains(err.Error(), "server refused TLS connection"): // pgx has no type for it
		return fmt.Errorf("the server does not speak TLS (%s); correct sslmode, or have TLS turned on there", err.Error())
	}
	return nil
}

// ignoreDone drops the error of returning a connection that the server has already closed: the transaction's own error, if
// any, tells what happened.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn) {
		return nil
	}
	return err
}
