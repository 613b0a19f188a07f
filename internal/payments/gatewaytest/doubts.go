package gatewaytest

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/payments"
)

// lost makes a call whose effect is certain and whose answer never comes.
func (tr *trial) lost(call Call) string {
	tr.t.Helper()
	method := tr.LostAnswer(call)
	tr.upTo(call, method)
	_, err := tr.do(call, method, 1)
	require.False(tr.t, tr.unknown(err).KeyExhausted)
	require.Equal(tr.t, effect(call), tr.Book(tr.t, tr.orderID), "the effect is there")
	if call != Create {
		require.True(tr.t, reached(call, tr.get()), "the look-up sees the effect")
	}
	return method
}

func lostAnswerSameKey(tr *trial, call Call) {
	method := tr.lost(call)
	i, err := tr.do(call, method, 1)
	require.NoError(tr.t, err)
	require.True(tr.t, reached(call, i), "%+v", i)
	require.Equal(tr.t, effect(call), tr.Book(tr.t, tr.orderID), "the effect is there once")
}

func lostAnswerKeysGone(tr *trial, call Call) {
	method := tr.lost(call)
	tr.ForgetKeys(tr.t)
	i, err := tr.do(call, method, 1)
	require.NoError(tr.t, err)
	require.True(tr.t, reached(call, i), "%+v", i)
	want := effect(call)
	if call == Create {
		want.Intents = 2 // nothing protects a creation but its key; this is why creating must cost nothing
	}
	require.Equal(tr.t, want, tr.Book(tr.t, tr.orderID))
}

func savedErrorBefore(tr *trial, call Call) {
	method := tr.SavedErrorBefore(call)
	tr.upTo(call, method)
	before := tr.Book(tr.t, tr.orderID)
	for range 2 {
		_, err := tr.do(call, method, 1)
		require.True(tr.t, tr.unknown(err).KeyExhausted)
	}
	require.Equal(tr.t, before, tr.Book(tr.t, tr.orderID), "nothing happened")
	if call != Create {
		require.False(tr.t, reached(call, tr.get()), "the look-up shows that nothing happened")
	}
	i, err := tr.do(call, method, 2)
	require.NoError(tr.t, err)
	require.True(tr.t, reached(call, i), "%+v", i)
	require.Equal(tr.t, effect(call), tr.Book(tr.t, tr.orderID))
}

func savedErrorAfter(tr *trial, call Call) {
	method := tr.SavedErrorAfter(call)
	tr.upTo(call, method)
	for range 2 {
		_, err := tr.do(call, method, 1)
		require.True(tr.t, tr.unknown(err).KeyExhausted)
	}
	require.Equal(tr.t, effect(call), tr.Book(tr.t, tr.orderID))
	if call == Create {
		return // without an id there is nothing to look up
	}
	require.True(tr.t, reached(call, tr.get()))
	i, err := tr.do(call, method, 2)
	require.NoError(tr.t, err)
	require.True(tr.t, reached(call, i), "%+v", i)
	require.Equal(tr.t, effect(call), tr.Book(tr.t, tr.orderID), "the effect is there once")
}

func rateLimit(tr *trial, call Call) {
	method := tr.RateLimited(call)
	tr.upTo(call, method)
	_, err := tr.do(call, method, 1)
	u := tr.unknown(err)
	require.False(tr.t, u.KeyExhausted)
	require.Positive(tr.t, u.RetryAfter)
	f, found := fault.As(err)
	require.True(tr.t, found)
	require.Equal(tr.t, u.RetryAfter, f.RetryAfter, "the fault carries the pause that the provider asks for")
	i, err := tr.do(call, method, 1)
	require.NoError(tr.t, err)
	require.True(tr.t, reached(call, i))
	require.Equal(tr.t, effect(call), tr.Book(tr.t, tr.orderID))
}

func slow(tr *trial, call Call) {
	method := tr.SlowAnswer(call)
	tr.upTo(call, method)
	patient := tr.ctx
	impatient, cancel := context.WithTimeout(patient, time.Second)
	defer cancel()
	tr.ctx = impatient
	_, err := tr.do(call, method, 1)
	tr.ctx = patient
	require.False(tr.t, tr.unknown(err).KeyExhausted)
	i, err := tr.do(call, method, 1)
	require.NoError(tr.t, err)
	require.True(tr.t, reached(call, i))
	require.Equal(tr.t, effect(call), tr.Book(tr.t, tr.orderID))
}

// lateConfirm lets a confirmation arrive after its sender has given up and the order was undone.
func lateConfirm(tr *trial) {
	tr.must(tr.Succeeds, Create)
	waiting, arrive := tr.Delay(tr.t, Confirm, tr.orderID)
	late := make(chan error, 1)
	impatient, giveUp := context.WithCancel(tr.ctx)
	go func() {
		_, err := tr.Gateway.Confirm(impatient, tr.key(Confirm, 1), tr.id)
		late <- err
	}()
	require.Eventually(tr.t, func() bool { return len(late) > 0 || waiting() }, 10*time.Second, 5*time.Millisecond)
	giveUp()
	tr.unknown(<-late)
	tr.must("", Void)
	arrive()
	require.Equal(tr.t, Totals{Intents: 1}, tr.Book(tr.t, tr.orderID))
	_, err := tr.do(Confirm, "", 2)
	tr.refused(err, fault.Conflict, payments.CodeIntentCanceled)
	require.Equal(tr.t, Totals{Intents: 1}, tr.Book(tr.t, tr.orderID))
}

func wrongKey(tr *trial) {
	tr.must(tr.Succeeds, Create)
	tr.Gateway = tr.WrongKey
	for _, call := range calls {
		_, err := tr.do(call, tr.Succeeds, 2)
		tr.refused(err, fault.Internal, payments.CodeMisconfigured)
	}
	_, err := tr.Gateway.Get(tr.ctx, tr.id)
	tr.refused(err, fault.Internal, payments.CodeMisconfigured)
	tr.refused(tr.Gateway.Method(tr.ctx, tr.Succeeds), fault.Internal, payments.CodeMisconfigured)
}

func unreachable(tr *trial) {
	tr.must(tr.Succeeds, Create)
	tr.Gateway = tr.Unreachable
	for _, call := range calls {
		_, err := tr.do(call, tr.Succeeds, 2)
		require.False(tr.t, tr.unknown(err).KeyExhausted)
	}
	_, err := tr.Gateway.Get(tr.ctx, tr.id)
	tr.unknown(err)
	tr.unknown(tr.Gateway.Method(tr.ctx, tr.Succeeds))
}
