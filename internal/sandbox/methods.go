package sandbox

import "fmt"

// Method is a test payment method. Names without "sandbox" are Stripe's own and behave alike there in test mode.
type Method struct {
	Name        string `json:"name"`
	Description string `json:"description"`

	decline       *decline // what confirm answers instead of a hold
	action        bool     // confirm waits for the customer (3-D Secure)
	processes     bool     // confirm answers "processing" and settles later
	risk          string   // the provider's opinion, "normal" if empty
	captureRefuse string   // the code with which every capture is refused
	holdLapses    bool     // a refused capture also ends the hold
	refundRefuse  string   // the code with which every refund is refused
	brand         string   // "visa" if empty
	habitCall     string   // the call on which habit strikes
	habit         habit
}

type decline struct{ code, declineCode, message string }

// habit is something unpleasant that happens once per intent and call (for create: once per order).
type habit string

const (
	answerLost  habit = "answer_lost"
	errorBefore habit = "error_before"
	errorAfter  habit = "error_after"
	rateLimited habit = "rate_limited"
	slowAnswer  habit = "slow"
	refusedOnce habit = "refused_once"
)

// Methods returns every payment method the sandbox knows. All others are 404 resource_missing.
func Methods() []Method {
	declined := func(name, code, declineCode, message string) Method {
		return Method{Name: name, Description: "Declined: " + message, decline: &decline{code, declineCode, message}}
	}
	list := []Method{
		{Name: "pm_card_visa", Description: "Succeeds."},
		{Name: "pm_card_mastercard", Description: "Succeeds.", brand: "mastercard"},
		{Name: "pm_card_amex", Description: "Succeeds.", brand: "amex"},
		declined("pm_card_visa_chargeDeclined", "card_declined", "generic_decline", "Your card was declined."),
		declined("pm_card_chargeDeclined", "card_declined", "generic_decline", "Your card was declined."),
		declined("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds", "Your card has insufficient funds."),
		declined("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds", "Your card has insufficient funds."),
		declined("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card", "Your card was declined."),
		declined("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card", "Your card was declined."),
		declined("pm_card_chargeDeclinedExpiredCard", "expired_card", "", "Your card has expired."),
		declined("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "", "Your card's security code is incorrect."),
		declined("pm_card_chargeDeclinedProcessingError", "processing_error", "", "An error occurred while processing your card."),
		declined("pm_card_radarBlock", "card_declined", "fraudulent", "Your card was declined."),
		{Name: "pm_card_riskLevelElevated", Description: "Succeeds with risk level elevated.", risk: "elevated"},
		{Name: "pm_card_riskLevelHighest", Description: "Succeeds with risk level highest.", risk: "highest"},
		{Name: "pm_card_authenticationRequired", Description: "Confirm answers requires_action and waits for the customer.", action: true},

		{Name: "pm_sandbox_processing", Description: "Stays in processing for a while, then is authorised.", processes: true},
		{
			Name: "pm_sandbox_processing_declined", Description: "Stays in processing for a while, then is declined.", processes: true,
			decline: &decline{"card_declined", "generic_decline", "Your card was declined."},
		},
		{
			Name: "pm_sandbox_capture_refused", Description: "Every capture is refused for good; the hold stays until it is cancelled.",
			captureRefuse: "capture_unauthorized_payment",
		},
		{
			Name: "pm_sandbox_hold_lapsed", Description: "The capture is refused because the hold has lapsed; the intent is then canceled.",
			captureRefuse: "charge_expired_for_capture", holdLapses: true,
		},
		{Name: "pm_sandbox_refund_refused", Description: "Every refund is refused for good.", refundRefuse: "charge_disputed"},
	}
	for _, call := range []string{"create", "confirm", "capture", "cancel", "refund"} {
		for _, h := range []struct {
			habit habit
			what  string
		}{
			{answerLost, "takes effect, then the connection is cut before the answer"},
			{errorBefore, "has no effect and answers 500; the key replays it"},
			{errorAfter, "takes effect and answers 500; the key replays it"},
			{rateLimited, "has no effect and answers 429, which no key remembers"},
			{slowAnswer, "takes effect, and the answer comes late"},
			{refusedOnce, "has no effect and is refused with 400; the key replays it"},
		} {
			if h.habit == refusedOnce && call != "cancel" && call != "refund" {
				continue // the other calls take a refusal for good, and are not made again
			}
			scope := "intent"
			if call == "create" {
				scope = "order"
			}
			list = append(list, Method{
				Name:        fmt.Sprintf("pm_sandbox_%s_%s", call, h.habit),
				Description: fmt.Sprintf("The first %s of an %s %s. Succeeds otherwise.", call, scope, h.what),
				habitCall:   call, habit: h.habit,
			})
		}
	}
	return list
}

var methods = func() map[string]Method {
	byName := map[string]Method{}
	for _, m := range Methods() {
		byName[m.Name] = m
	}
	return byName
}()

func (m Method) riskLevel() string {
	if m.risk == "" {
		return "normal"
	}
	return m.risk
}
