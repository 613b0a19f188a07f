package notifications_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/notifications"
	"example.com/orderly/internal/notifications/smtp/smtptest"
)

// watched is a service that sends to a server, its metrics, and what tries the mail of an order once.
func watched(t *testing.T) (w *world, server *smtptest.Server, service *notifications.Service, shows func(failing int, attempts string), try func(order string)) {
	t.Helper()
	w, server = onSQLite(t), smtptest.New(t)
	registry := prometheus.NewPedanticRegistry()
	w.metrics = notifications.NewMetrics(registry)
	service = w.service(over(t, server))
	shows = func(failing int, attempts string) {
		t.Helper()
		var counts [4]int
		_, err := fmt.Sscan(attempts, &counts[0], &counts[1], &counts[2], &counts[3])
		require.NoError(t, err)
		require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(fmt.Sprintf(`
			# HELP orderly_mail_attempts_total Attempts of this process to hand over a mail, by what became of them.
			# TYPE orderly_mail_attempts_total counter
			orderly_mail_attempts_total{outcome="taken"} %d
			orderly_mail_attempts_total{outcome="recipient"} %d
			orderly_mail_attempts_total{outcome="later"} %d
			orderly_mail_attempts_total{outcome="operator"} %d
			# HELP orderly_mails_failing Mails that this process has tried since one was last taken, and that were not; at most 1000.
			# TYPE orderly_mails_failing gauge
			orderly_mails_failing %d
		`, counts[0], counts[1], counts[2], counts[3], failing))))
	}
	try = func(order string) { _, _ = service.Listener().Effect(t.Context(), completed(order, "ada")) }
	return w, server, service, shows, try
}

func TestThatNoMailGetsThroughIsTold(t *testing.T) {
	t.Parallel()
	w, server, service, shows, try := watched(t)
	shows(0, "0 0 0 0")
	try("o-0")
	shows(0, "1 0 0 0")

	const needed, none = `level=WARN msg="the mail server needs an operator, mails wait"`, `level=WARN msg="no mail gets through" mails=5`
	server.Answer("MAIL", "553 5.7.1 sender not yours")
	for range 3 {
		try("o-1")
	}
	shows(1, "1 0 0 3")
	require.Equal(t, 1, strings.Count(w.log.String(), needed))
	require.Contains(t, w.log.String(), `553 5.7.1 (sender not yours): the server refuses the sender`)
	require.NoError(t, service.Ping(t.Context()))

	server.Answer("MAIL", "421 4.3.2 later")
	try("o-2")
	server.Answer("MAIL", "")
	server.Answer("RCPT", "550 5.1.1 unknown")
	try("o-3")
	try("o-4")
	require.NoError(t, service.Ping(t.Context()))
	require.NotContains(t, w.log.String(), none)
	try("o-5")
	try("o-6")
	shows(6, "1 4 1 3")
	require.Equal(t, 1, strings.Count(w.log.String(), none))
	require.ErrorContains(t, service.Ping(t.Context()), "6 mails in a row were not taken: send mail orders.o-6.1@example.com: RCPT: the server answered 550 5.1.1")

	server.Answer("RCPT", "530 5.7.0 log in first")
	try("o-7")
	require.Equal(t, 1, strings.Count(w.log.String(), needed), "told again within ten minutes")
	w.offset.Store(int64(10 * time.Minute))
	try("o-7")
	require.Equal(t, 2, strings.Count(w.log.String(), needed))

	server.Answer("RCPT", "")
	try("o-7")
	shows(0, "2 4 1 5")
	require.NoError(t, service.Ping(t.Context()))
	require.Contains(t, w.log.String(), `level=INFO msg="mails get through again"`)
	require.NotContains(t, w.log.String(), "ada@")
}

// The mailbox of one customer that is full for days is no outage.
func TestAttemptsAtOneMailCountOnce(t *testing.T) {
	t.Parallel()
	w, server, service, shows, try := watched(t)
	server.Answer("RCPT", "452 4.2.2 over quota")
	for range 20 {
		try("o-1")
	}
	shows(1, "0 0 20 0")
	require.NoError(t, service.Ping(t.Context()))
	require.Empty(t, w.log.String())
}

func TestAProcessThatStopsSaysNothingAboutTheServer(t *testing.T) {
	t.Parallel()
	w, server, service, shows, _ := watched(t)
	server.Answer("MAIL", smtptest.Hang)
	for n := range 6 {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := service.Listener().Effect(ctx, completed(fmt.Sprint("o-", n), "ada"))
			ended <- err
		}()
		require.Eventually(t, func() bool { return strings.Count(server.Commands(), "MAIL") == n+1 }, 20*time.Second, time.Millisecond)
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
	}
	shows(0, "0 0 0 0")
	require.NoError(t, service.Ping(t.Context()))
	require.Empty(t, w.log.String())
}
