package events

// currencyDigits holds the number of digits of the minor unit (ISO 4217, table A.1) of each currency that prices may be in. A new
// currency is a line here.
var currencyDigits = map[string]int{"EUR": 2, "USD": 2, "GBP": 2, "CHF": 2, "JPY": 0, "KWD": 3}

// CurrencyDigits returns how many of the last digits of an amount in minor units stand behind the decimal point: 2 for "EUR", so
// that 3000 is 30.00, and 0 for "JPY". code is an ISO 4217 code in capitals; ok is false for a currency that no price is in.
func CurrencyDigits(code string) (digits int, ok bool) {
	digits, ok = currencyDigits[code]
	return digits, ok
}
