package database

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"example.com/orderly/internal/fault"
)

const (
	// CodeUnavailable is the code of a fault after which the same request may succeed later.
	CodeUnavailable = "database_unavailable"
	// CodeNeedsOperator is the code of one that lasts until a person has done something. The log says what.
	CodeNeedsOperator = "database_needs_operator"
)

// ErrNoDatabase is in what Open returns when the server is there and the database is not.
var ErrNoDatabase = errors.New("there is no such database")

// classify makes failures of the database Unavailable, so that callers can answer "later" instead of "defect". All other errors pass
// unchanged.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if _, already := fault.As(err); already {
		return err
	}
	switch v, _ := judge(err); v.means {
	case passes:
		return fmt.Errorf("%w: %w", fault.New(fault.Unavailable, CodeUnavailable, "the database does not answer"), err)
	case person:
		return fmt.Errorf("%w: %w; %s", fault.New(fault.Unavailable, CodeNeedsOperator, "the database needs an operator"), err, v.why)
	default:
		return err
	}
}

// ErrPooler is in what Open returns when a pooler before the server refuses (08P01), for a reason that it does not tell as an SQLSTATE. It is
// Unavailable, but worth waiting for only while a server may be starting behind it.
var ErrPooler = errors.New("if this lasts, see what the pooler knows of the database, the user and its password")

// explained is classify for a start: what needs a person is not Unavailable, and says what to do in one line.
func explained(err error) error {
	v, ok := judge(err)
	said := sqlstate(err)
	switch {
	case !ok:
		return err
	case v.means == passes && said == nil:
		return classify(err)
	case v.means == passes:
		waits := fault.New(fault.Unavailable, CodeUnavailable, "%s; %s", inOneLine(err), v.why)
		if said.Code == "08P01" {
			return fmt.Errorf("%w: %w", waits, ErrPooler)
		}
		return waits
	case said != nil && said.Code == "3D000":
		return fmt.Errorf("%s; %w: %s", inOneLine(err), ErrNoDatabase, v.why)
	case v.means == person:
		return fmt.Errorf("%s; %s", inOneLine(err), v.why)
	}
	return err
}

// inOneLine is what the server says, or else the failure without the lines that pgx writes around it.
func inOneLine(err error) string {
	if said := sqlstate(err); said != nil {
		return fmt.Sprintf("PostgreSQL says: %s (%s)", said.Message, said.Code)
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// ignoreDone drops the error of returning a connection that the server has already closed: the transaction's own error, if
// any, tells what happened.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn) {
		return nil
	}
	return err
}
