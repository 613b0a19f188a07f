package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// poolMode is the parameter of a URL that says how a pooler before the server hands out its sessions; the word and its values are PgBouncer's.
const poolMode = "pool_mode"

// pooled reads and removes the parameter: with transaction each transaction may get another session of the server, whose settings and prepared
// statements are not ours.
func pooled(config *pgx.ConnConfig) (bool, error) {
	mode, said := config.RuntimeParams[poolMode]
	delete(config.RuntimeParams, poolMode)
	switch {
	case !said, mode == "session":
		return false, nil
	case mode == "transaction":
		return true, nil
	}
	return false, fmt.Errorf("the URL's %s is %q: it is session, or transaction for a pooler that hands out its sessions by the transaction", poolMode, mode)
}

// Pooled reports that rawURL leads to a pooler in transaction mode, by its parameter pool_mode=transaction.
func Pooled(rawURL string) bool {
	config, err := pgx.ParseConfig(rawURL)
	if err != nil {
		return false
	}
	is, err := pooled(config)
	return is && err == nil
}

// bySession has a connection told the settings once. It needs a session that stays ours.
func bySession(s sessions, settings []string) []stdlib.OptionOpenDB {
	return []stdlib.OptionOpenDB{stdlib.OptionResetSession(s.reusable), stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		s.begun(conn)
		return s.told(ctx, conn, `SET `+strings.Join(settings, `; SET `)+`; `+askTime)
	})}
}

// byTransaction is a connector whose connections leave nothing behind in a session: statements are parsed with each run, and what a session
// would be told goes with each BEGIN, in the same message.
func byTransaction(config *pgx.ConnConfig, s sessions, settings []string) driver.Connector {
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.StatementCacheCapacity, config.DescriptionCacheCapacity = 0, 0
	connector := stdlib.GetConnector(*config, stdlib.OptionResetSession(s.reusable), stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		s.begun(conn)
		return s.told(ctx, conn, askTime)
	}))
	return pooledConnector{connector, `BEGIN; SET LOCAL ` + strings.Join(settings, `; SET LOCAL `)}
}

type pooledConnector struct {
	driver.Connector
	begin string
}

// Connect implements driver.Connector.
func (c pooledConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return pooledConn{conn.(*stdlib.Conn), c.begin}, nil
}

type pooledConn struct {
	*stdlib.Conn
	begin string
}

// BeginTx implements driver.ConnBeginTx, for the options that are used here, which are none.
func (c pooledConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	if options != (driver.TxOptions{}) {
		return nil, errors.New("a transaction through a pooler takes no options")
	}
	if c.Conn.Conn().IsClosed() {
		return nil, driver.ErrBadConn
	}
	tx, err := c.Conn.Conn().BeginTx(ctx, pgx.TxOptions{BeginQuery: c.begin})
	if err != nil {
		return nil, err
	}
	return pooledTx{ctx, tx}, nil
}

type pooledTx struct {
	ctx context.Context // as the driver's own
	tx  pgx.Tx
}

// Commit implements driver.Tx.
func (t pooledTx) Commit() error { return t.tx.Commit(t.ctx) }

// Rollback implements driver.Tx.
func (t pooledTx) Rollback() error { return t.tx.Rollback(t.ctx) }
