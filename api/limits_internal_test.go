package api

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/limit"
	"example.com/orderly/internal/password"
)

func TestWhatALogInCountsFor(t *testing.T) {
	t.Parallel()
	busy := fault.New(fault.Unavailable, codeBusy, "too many")
	for name, c := range map[string]struct {
		err             error
		source, account bool // for what it counts
	}{
		"right":                      {nil, false, false},
		"wrong":                      {fault.New(fault.Unauthenticated, "wrong_credentials", "wrong"), true, true},
		"wrong, with a session":      {fault.New(fault.Invalid, codeWrongPassword, "wrong"), true, true},
		"no turn in time":            {busy, true, false},
		"no turn before its answer":  {fmt.Errorf("wait: %w", context.DeadlineExceeded), true, false},
		"its client left":            {fmt.Errorf("wait: %w", context.Canceled), true, false},
		"one form wrong, then busy":  {fmt.Errorf("%w: %w", password.ErrLooked, busy), true, true},
		"the database does not tell": {fault.New(fault.Unavailable, "database_unavailable", "away"), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := limit.Rate{Burst: 1, Per: time.Hour}
			a := NewPort(Config{Limiter: limit.New(limit.Options{}), Limits: Limits{FailedLogins: one, WrongPasswords: one}}, nil)
			request, _ := gin.CreateTestContext(httptest.NewRecorder())
			request.Request = httptest.NewRequest("POST", "/", nil)
			try, err := a.beginAttempt(request, "192.0.2.1", "ada")
			require.NoError(t, err)
			try.end(c.err)
			require.Equal(t, c.source, a.take(request, failedLoginLimit, try.source) != nil)
			require.Equal(t, c.account, a.take(request, wrongPasswordLimit, try.account) != nil)
		})
	}
}
