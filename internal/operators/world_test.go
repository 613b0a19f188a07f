package operators_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/operators"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/internal/users"
)

const own = "correct horse battery"

var shell = operators.Actor{Who: "cli:root", Door: "cli"}

// bundle is the operators in a users database of their own.
type bundle struct {
	db      *database.DB
	service *operators.Service
	log     *bytes.Buffer

	mu sync.Mutex
	at time.Time
}

func setup(open testenv.Open) *bundle {
	b := &bundle{db: open("users", append(users.Migrations(), operators.Migrations())...), log: &bytes.Buffer{}}
	b.at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b.service = b.on(b.db)
	return b
}

func (b *bundle) on(db *database.DB) *operators.Service {
	return operators.New(db, operators.Options{
		Now: b.now, Log: slog.New(slog.NewTextHandler(b.log, nil)), Metrics: operators.NewMetrics(prometheus.NewRegistry()),
	})
}

func (b *bundle) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

func (b *bundle) move(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = b.at.Add(d)
}

// person is an operator with a phone.
type person struct {
	b               *bundle
	email, password string
	secret          string
	recovery        []string
	token           string
}

func (b *bundle) add(t *testing.T, email string, role operators.Role) *person {
	t.Helper()
	_, temporary, err := b.service.Add(t.Context(), shell, operators.NewOperator{Email: email, Name: "Ada", Role: role})
	require.NoError(t, err)
	return &person{b: b, email: email, password: temporary}
}

// enrolled adds an operator who has enrolled and is logged in.
func (b *bundle) enrolled(t *testing.T, email string, role operators.Role) *person {
	t.Helper()
	p := b.add(t, email, role)
	p.enrol(t)
	return p
}

func (p *person) enrol(t *testing.T) {
	t.Helper()
	begun, err := p.b.service.BeginEnrolment(t.Context(), p.login(t))
	require.NoError(t, err)
	p.secret = begun.Secret
	done, err := p.b.service.Enrol(t.Context(), p.token, own, p.code(t))
	require.NoError(t, err)
	p.password, p.recovery, p.token = own, done.RecoveryCodes, done.Token
	p.b.move(time.Minute) // past the code that was used
}

// login is the first half of a log-in.
func (p *person) login(t *testing.T) (token string) {
	t.Helper()
	token, session, err := p.b.service.Login(t.Context(), p.email, p.password)
	require.NoError(t, err)
	require.False(t, session.SecondFactor)
	p.token = token
	return token
}

// code is what the phone shows.
func (p *person) code(t *testing.T) string { return p.codeAt(t, p.b.now()) }

func (p *person) codeAt(t *testing.T, at time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(p.secret, at)
	require.NoError(t, err)
	return code
}

// wrong is a code that the phone does not show around now.
func (p *person) wrong(t *testing.T) string {
	t.Helper()
	for _, code := range []string{"000000", "111111", "222222", "333333"} {
		if code != p.codeAt(t, p.b.now()) && code != p.codeAt(t, p.b.now().Add(-30*time.Second)) && code != p.codeAt(t, p.b.now().Add(30*time.Second)) {
			return code
		}
	}
	t.Fatal("four codes at once")
	return ""
}

func (p *person) give(t *testing.T, code string) error {
	t.Helper()
	renewed, _, err := p.b.service.SecondFactor(t.Context(), p.token, code)
	if err == nil {
		p.token = renewed
	}
	return err
}

// acts are the rows of the audit, the oldest first.
func (b *bundle) acts(t *testing.T) []string {
	t.Helper()
	var rows []string
	require.NoError(t, b.db.Select(t.Context(), &rows, `SELECT actor || ' ' || door || ' ' || act || ' ' || refused FROM audit ORDER BY at, id`))
	for i := range rows {
		rows[i] = strings.TrimSpace(rows[i])
	}
	return rows
}

func requireFault(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, kind, fault.KindOf(err), err)
	require.Equal(t, code, fault.CodeOf(err))
}
