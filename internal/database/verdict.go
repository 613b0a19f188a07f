package database

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/orderly/internal/sqlite"
)

// means is what a failure of a database means, the same to all that meet one: start-up, a request, a step, the relay, a listener, readiness.
type means string

const (
	// passes: the same request may succeed later without a change on our side. Start-up waits; later it is Unavailable.
	passes means = "passes"
	// person: waiting alone mends nothing. Start-up refuses and names the remedy; later it is Unavailable, with the remedy in the log.
	person means = "needs a person"
	// ours: a defect. Start-up refuses; later it is Internal.
	ours means = "ours"
)

// verdict is one line of the tables sqlstates and resultCodes.
type verdict struct {
	means means
	// why is the reason, and where a person is needed what to do.
	why string
	// again says that the transaction is worth running again at once: it lost to another one, or its connection was of no use.
	again bool
	// locked says that it waited for a lock for as long as it may.
	locked bool
	// reconnect says that the connections there are should not be used any more.
	reconnect bool
	// unwritable says that the reason is not the statement's own: other writes will be refused, too.
	unwritable bool
}

// judge finds the verdict on err; ok is false where err is no failure of a database. A server that gave an SQLSTATE has been reached, so that this
// alone counts. Without sslmode pgx tries twice, with TLS and without, and joins what came of both.
func judge(err error) (v verdict, ok bool) {
	if said := sqlstate(err); said != nil {
		return judgeSQLState(err, said), true
	}
	if code, is := sqlite.Code(err); is {
		return resultCodes[code], true
	}
	if v, is := judgeTLS(err); is {
		return v, true
	}
	if gone(err) {
		return verdict{means: passes, why: "the server can't be reached"}, true
	}
	return verdict{}, false
}

// sqlstate returns what the server said; nil where it said nothing. Of several attempts to connect, one that waiting mends counts before all
// others, and one that has got past the server's list of hosts (28000) before one that has not.
func sqlstate(err error) *pgconn.PgError {
	var counts *pgconn.PgError
	for _, said := range everySQLState(err, nil) {
		if lookUp(said).means == passes {
			return said
		}
		if counts == nil || said.Code != "28000" {
			counts = said
		}
	}
	return counts
}

// everySQLState appends all that servers said, in the order of the attempts.
func everySQLState(err error, to []*pgconn.PgError) []*pgconn.PgError {
	switch e := err.(type) { //nolint:errorlint // it goes through the wraps itself
	case *pgconn.PgError:
		return append(to, e)
	case interface{ Unwrap() []error }:
		for _, each := range e.Unwrap() {
			to = everySQLState(each, to)
		}
		return to
	case interface{ Unwrap() error }:
		return everySQLState(e.Unwrap(), to)
	}
	return to
}

// poolerRefuses matches what PgBouncer says, always as 08P01, of a database or a user that it does not know or that the server does not.
var poolerRefuses = regexp.MustCompile(`no such (database|user)|does not exist|authentication failed|unsupported startup parameter`)

func judgeSQLState(err error, said *pgconn.PgError) verdict {
	v := lookUp(said)
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting && v.means == ours {
		return verdict{means: person, why: "check the parameters of the URL"} // no statement of ours was sent yet
	}
	return v
}

// lookUp finds the line of the table. What tells the two meanings of 0A000 apart is not the text, which is in the server's language; those of
// 08P01 are told apart by nothing else, and a pooler speaks English.
func lookUp(said *pgconn.PgError) verdict {
	switch {
	case said.Code == "0A000" && said.Routine == "RevalidateCachedQuery":
		return stalePlan
	case said.Code == "08P01" && poolerRefuses.MatchString(said.Message):
		return refusedByPooler
	}
	if v, differs := sqlstates[said.Code]; differs {
		return v
	}
	if v, known := sqlstates[said.Code[:min(2, len(said.Code))]]; known {
		return v
	}
	return verdict{means: ours, why: "not a class of PostgreSQL's"}
}

// judgeTLS is for two sides that do not agree on TLS: no attempt to connect has met anything else. One that was refused with TLS and cut off
// without says nothing about TLS.
func judgeTLS(err error) (v verdict, ok bool) {
	for _, attempt := range attempts(err) {
		_, untrusted := errors.AsType[*tls.CertificateVerificationError](attempt)
		_, unknown := errors.AsType[x509.UnknownAuthorityError](attempt)
		_, plain := errors.AsType[tls.RecordHeaderError](attempt)
		switch {
		case untrusted, unknown:
			v = verdict{means: person, why: "the server's certificate is not trusted: correct the host, or name who signed it with sslrootcert=..."}
		case plain, strings.Contains(attempt.Error(), "server refused TLS connection"): // pgx has no type for it
			v = verdict{means: person, why: "the server does not speak TLS: correct sslmode, or have TLS turned on there"}
		default:
			return verdict{}, false
		}
	}
	return v, v.means != ""
}

// attempts are what came of each attempt to connect; none where err is about something else.
func attempts(err error) []error {
	connecting, ok := errors.AsType[*pgconn.ConnectError](err)
	if !ok {
		return nil
	}
	if several, ok := connecting.Unwrap().(interface{ Unwrap() []error }); ok {
		return several.Unwrap()
	}
	return []error{connecting.Unwrap()}
}

// endings are what is left of a connection that a server or the network ended in the middle of something.
var endings = []error{
	driver.ErrBadConn, sql.ErrConnDone, pgconn.ErrConnClosed, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.DeadlineExceeded,
}

// gone reports that no server has answered, or not to the end.
func gone(err error) bool {
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
