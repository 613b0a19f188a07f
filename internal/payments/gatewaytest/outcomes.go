package gatewaytest

import (
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/payments"
)

func createdHoldsNothing(tr *trial) {
	i := tr.must(tr.Succeeds, Create)
	require.Equal(tr.t, payments.Intent{
		ID: i.ID, OrderID: tr.orderID, Status: payments.NeedsConfirmation, AmountMinor: amount, Currency: tr.Currency,
	}, i)
	require.Equal(tr.t, i, tr.get())
	require.Equal(tr.t, Totals{Intents: 1}, tr.Book(tr.t, tr.orderID))
}

func wholeWay(tr *trial) {
	i := tr.must(tr.Succeeds, Create, Confirm)
	require.Equal(tr.t, payments.Authorized, i.Status)
	require.Zero(tr.t, i.CapturedMinor)
	require.Equal(tr.t, i, tr.get())
	require.Equal(tr.t, effect(Confirm), tr.Book(tr.t, tr.orderID))

	i = tr.must("", Capture)
	require.Equal(tr.t, payments.Captured, i.Status)
	require.EqualValues(tr.t, amount, i.CapturedMinor)
	require.Equal(tr.t, i, tr.get())
	require.Equal(tr.t, effect(Capture), tr.Book(tr.t, tr.orderID))

	i = tr.must("", Refund)
	require.EqualValues(tr.t, amount, i.RefundedMinor)
	require.Equal(tr.t, i, tr.get())
	require.Equal(tr.t, effect(Refund), tr.Book(tr.t, tr.orderID))
}

func voidReleases(tr *trial) {
	i := tr.must(tr.Succeeds, Create, Confirm, Void)
	require.Equal(tr.t, payments.Canceled, i.Status)
	require.Zero(tr.t, i.RefundedMinor, "what was never taken is not given back")
	require.Equal(tr.t, i, tr.get())
	require.Equal(tr.t, effect(Void), tr.Book(tr.t, tr.orderID))
}

// goalReachedBefore repeats each call under another key, as after a day, when the provider has forgotten the first.
func goalReachedBefore(tr *trial) {
	again := func(call Call) {
		i, err := tr.do(call, "", 2)
		require.NoError(tr.t, err, "%s", call)
		require.True(tr.t, reached(call, i), "%s: %+v", call, i)
		require.Equal(tr.t, effect(call), tr.Book(tr.t, tr.orderID))
	}
	tr.must(tr.Succeeds, Create, Confirm)
	again(Confirm)
	tr.must("", Capture)
	again(Capture)
	i, err := tr.do(Confirm, "", 3)
	require.NoError(tr.t, err, "a confirmation that comes late has its goal")
	require.Equal(tr.t, payments.Captured, i.Status)
	tr.must("", Refund)
	again(Refund)

	tr.orderID += "-voided"
	tr.must(tr.Succeeds, Create, Confirm, Void)
	again(Void)
}

func contradictions(tr *trial) {
	tr.must(tr.Succeeds, Create)
	_, err := tr.do(Capture, "", 1)
	tr.refused(err, fault.Conflict, payments.CodeNotAuthorized)
	_, err = tr.do(Refund, "", 1)
	tr.refused(err, fault.Conflict, payments.CodeNothingCaptured)

	tr.must("", Confirm)
	_, err = tr.do(Refund, "", 2)
	tr.refused(err, fault.Conflict, payments.CodeNothingCaptured)
	_, err = tr.do(Capture, "", 2)
	require.NoError(tr.t, err)
	_, err = tr.do(Void, "", 1)
	tr.refused(err, fault.Conflict, payments.CodeAlreadyCaptured)
	require.Equal(tr.t, effect(Capture), tr.Book(tr.t, tr.orderID))

	tr.orderID += "-voided"
	tr.must(tr.Succeeds, Create, Void)
	_, err = tr.do(Confirm, "", 1)
	tr.refused(err, fault.Conflict, payments.CodeIntentCanceled)
	_, err = tr.do(Capture, "", 1)
	tr.refused(err, fault.Conflict, payments.CodeIntentCanceled)
	_, err = tr.do(Refund, "", 1)
	tr.refused(err, fault.Conflict, payments.CodeNothingCaptured)
	require.Equal(tr.t, Totals{Intents: 1}, tr.Book(tr.t, tr.orderID))
}

func refundBounds(tr *trial) {
	tr.must(tr.Succeeds, Create, Confirm, Capture)
	_, err := tr.Gateway.Refund(tr.ctx, tr.key(Refund, 1), tr.id, amount+1)
	tr.refused(err, fault.Conflict, "")
	i, err := tr.Gateway.Refund(tr.ctx, tr.key(Refund, 2), tr.id, 1000)
	require.NoError(tr.t, err)
	require.EqualValues(tr.t, 1000, i.RefundedMinor)
	_, err = tr.Gateway.Refund(tr.ctx, tr.key(Refund, 3), tr.id, amount-999)
	tr.refused(err, fault.Conflict, "")
	i, err = tr.Gateway.Refund(tr.ctx, tr.key(Refund, 4), tr.id, amount-1000)
	require.NoError(tr.t, err)
	require.EqualValues(tr.t, amount, i.RefundedMinor)
	require.Equal(tr.t, effect(Refund), tr.Book(tr.t, tr.orderID))
}

func declineIsDurable(tr *trial) {
	tr.must(tr.Declined, Create)
	for _, attempt := range []int{1, 1, 2} { // the answer, its replay, and another key
		_, err := tr.do(Confirm, "", attempt)
		tr.refused(err, fault.Declined, tr.DeclineReason)
	}
	i := tr.get()
	require.Equal(tr.t, payments.NeedsMethod, i.Status)
	tr.refused(i.Decline(), fault.Declined, tr.DeclineReason)
	require.Equal(tr.t, Totals{Intents: 1}, tr.Book(tr.t, tr.orderID))
	tr.must("", Void)
}

func unknownThings(tr *trial) {
	require.NoError(tr.t, tr.Gateway.Method(tr.ctx, tr.Succeeds))
	require.NoError(tr.t, tr.Gateway.Method(tr.ctx, tr.Declined), "known is not the same as good for it")
	for _, id := range []string{tr.UnknownMethod, "", "../" + tr.Succeeds} {
		tr.refused(tr.Gateway.Method(tr.ctx, id), fault.Invalid, payments.CodeUnknownMethod)
	}
	_, err := tr.create(tr.UnknownMethod, tr.key(Create, 1))
	tr.refused(err, fault.Invalid, payments.CodeUnknownMethod)
	_, err = tr.Gateway.Create(tr.ctx, tr.key(Create, 2), payments.NewIntent{
		OrderID: tr.orderID, AmountMinor: 1, Currency: tr.Currency, Method: tr.Succeeds,
	})
	tr.refused(err, fault.Invalid, "amount_too_small")
	require.Zero(tr.t, tr.Book(tr.t, tr.orderID))

	_, err = tr.Gateway.Get(tr.ctx, "pi_unknown")
	tr.refused(err, fault.NotFound, "")
	tr.id = "pi_unknown"
	for _, call := range []Call{Confirm, Capture, Void, Refund} {
		_, err := tr.do(call, "", 1)
		tr.refused(err, fault.NotFound, "")
	}
}

func keyMeansOneThing(tr *trial) {
	first := tr.must(tr.Succeeds, Create)
	require.Equal(tr.t, first.ID, tr.must(tr.Succeeds, Create).ID)
	_, err := tr.Gateway.Create(tr.ctx, tr.key(Create, 1), payments.NewIntent{
		OrderID: tr.orderID, AmountMinor: amount + 1, Currency: tr.Currency, Method: tr.Succeeds,
	})
	require.True(tr.t, tr.unknown(err).KeyExhausted)
	require.Equal(tr.t, Totals{Intents: 1}, tr.Book(tr.t, tr.orderID))
}

func replayIsNotThePresent(tr *trial) {
	tr.must(tr.Succeeds, Create, Confirm, Void)
	_, err := tr.do(Confirm, "", 1) // the provider replays "authorised"
	tr.refused(err, fault.Conflict, payments.CodeIntentCanceled)
	i, err := tr.do(Create, tr.Succeeds, 1)
	require.NoError(tr.t, err)
	require.Equal(tr.t, payments.Canceled, i.Status)
}

func riskReported(tr *trial) {
	require.Equal(tr.t, payments.RiskElevated, tr.must(tr.RiskElevated, Create, Confirm).Risk)
	require.Equal(tr.t, payments.RiskElevated, tr.get().Risk)
	tr.orderID += "-normal"
	require.Equal(tr.t, payments.RiskNormal, tr.must(tr.Succeeds, Create, Confirm).Risk)
}

func actionAwaited(tr *trial) {
	require.Equal(tr.t, payments.NeedsAction, tr.must(tr.NeedsAction, Create, Confirm).Status)
	_, err := tr.do(Capture, "", 1)
	tr.refused(err, fault.Conflict, payments.CodeNotAuthorized)
	require.Equal(tr.t, Totals{Intents: 1}, tr.Book(tr.t, tr.orderID))
	tr.must("", Void)
}

func processingUndecided(tr *trial) {
	require.Equal(tr.t, payments.Processing, tr.must(tr.Processing, Create, Confirm).Status)
	i, err := tr.do(Confirm, "", 2)
	require.NoError(tr.t, err)
	require.Equal(tr.t, payments.Processing, i.Status)
	_, err = tr.do(Void, "", 1)
	require.True(tr.t, tr.unknown(err).KeyExhausted, "the provider would repeat its refusal to this key")
	tr.Settle()
	require.Equal(tr.t, payments.Authorized, tr.get().Status)
	_, err = tr.do(Void, "", 1)
	tr.unknown(err)
	_, err = tr.do(Void, "", 2)
	require.NoError(tr.t, err)
	require.Equal(tr.t, effect(Void), tr.Book(tr.t, tr.orderID))

	tr.orderID += "-declined"
	tr.must(tr.ProcessingDeclined, Create, Confirm)
	tr.Settle()
	tr.refused(tr.get().Decline(), fault.Declined, "")
	_, err = tr.do(Confirm, "", 1) // the provider replays "processing"
	tr.refused(err, fault.Declined, "")
	require.Equal(tr.t, Totals{Intents: 1}, tr.Book(tr.t, tr.orderID))
}

func captureRefused(tr *trial) {
	tr.must(tr.CaptureRefused, Create, Confirm)
	for attempt := 1; attempt <= 2; attempt++ {
		_, err := tr.do(Capture, "", attempt)
		tr.refused(err, fault.Conflict, "")
	}
	require.Equal(tr.t, payments.Authorized, tr.get().Status)
	tr.must("", Void)
	require.Equal(tr.t, effect(Void), tr.Book(tr.t, tr.orderID))
}

func holdLapsed(tr *trial) {
	tr.must(tr.HoldLapsed, Create, Confirm)
	_, err := tr.do(Capture, "", 1)
	tr.refused(err, fault.Conflict, "")
	_, err = tr.do(Capture, "", 2)
	tr.refused(err, fault.Conflict, payments.CodeIntentCanceled)
	tr.must("", Void)
	require.Equal(tr.t, effect(Void), tr.Book(tr.t, tr.orderID))
}

func refundRefused(tr *trial) {
	tr.must(tr.RefundRefused, Create, Confirm, Capture)
	for attempt := 1; attempt <= 2; attempt++ {
		_, err := tr.do(Refund, "", attempt)
		tr.refused(err, fault.Conflict, "")
	}
	require.Equal(tr.t, effect(Capture), tr.Book(tr.t, tr.orderID))
}
