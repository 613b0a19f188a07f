package api

// problemType is a kind of failure that clients can meet. A test holds the table against every code that the program answers with.
type problemType struct {
	code   string
	status int
	means  string
	remedy string
}

// problemTypes is the table of codes. /problems/{code} shows an entry, and openapi.yaml says which route answers with which.
var problemTypes = []problemType{
	{"malformed_request", 400, "The request line or a header can't be read.", "Send well-formed HTTP/1.1; the detail says what is wrong where it is known."},
	{"duplicate_header", 400, "A header that has one value came more than once.", "Send Authorization, Content-Type and Origin once at most."},
	{"malformed_json", 400, "The body is not JSON in UTF-8, or breaks off.", "Correct the body at the line and column that the detail names."},
	{"lone_surrogate", 400, "A string holds half of a UTF-16 surrogate pair as an escape, which is no character.",
		`Send the character itself, or both escapes of the pair, such as \ud83d\ude00.`},
	{"trailing_data", 400, "Something follows the JSON value of the body.", "Send one JSON value."},
	{"unknown_field", 400, "The body has a field that this route does not know.", "Leave it out, or correct its name; names are exact, upper and lower case included."},
	{"duplicate_field", 400, "A field of the body comes twice.", "Send each field once."},
	{"missing_field", 400, "A field of the body is missing.", "Send the field that the detail names by its JSON Pointer."},
	{"wrong_type", 400, "A value of the body has another type than its field.", "Send the type that the detail names. null is no value."},
	{"malformed_query", 400, "The query of the address can't be read.", "Send name=value&name=value, with what is special percent-encoded."},
	{"unknown_parameter", 400, "The address has no such parameter.", "Leave it out, or correct its name."},
	{"duplicate_parameter", 400, "A parameter that has one value came more than once.", "Send it once."},
	{"invalid_parameter", 400, "A parameter has a value that it can't have.", "Send what the detail names."},
	{"invalid_cursor", 400, "The cursor is not one of ours, or belongs to another list.",
		"Send it as next_cursor had it, with the same filters, or send none for the first page."},
	{"idempotency_key_missing", 400, "An order was sent without an Idempotency-Key.", "Send a key of your own, new for each order."},

	{"no_session", 401, "There is no session, or it has ended.", "Log in with POST /v1/sessions and send its token as Authorization: Bearer."},
	{"wrong_credentials", 401, "The email address or the password is wrong.", "Correct them."},

	{"route_not_found", 404, "There is nothing at this address. Addresses are compared as they were sent: nothing encoded is decoded.",
		"Look into /openapi.yaml for what there is."},
	{"session_not_found", 404, "There is no such session, it has ended, or it is another customer's.", "Ask for GET /v1/sessions, which lists yours."},
	{"order_not_found", 404, "There is no such order, or it is another customer's.", "Ask for the address that the Location of the order named."},
	{"user_not_found", 404, "The customer of the session was deleted.", "Register anew."},
	{"method_not_allowed", 405, "The address has no such method.", "Use one of those that Allow names."},

	{"email_taken", 409, "Another account has this email address.", "Log in, or register with another address."},
	{"password_changed", 409, "Another request changed the password meanwhile.", "Log in with the new password, and change it again."},
	{"precondition_failed", 412, "The profile is not the one that If-Match names.", "Read the profile again, and send its ETag."},
	{"body_too_large", 413, "The body is larger than 64 KiB.", "Send less."},
	{"unsupported_media_type", 415, "The body is not sent as JSON.", "Send it as Content-Type: application/json, uncompressed."},
	{"expectation_failed", 417, "The Expect header asks for something else than 100-continue.", "Leave the header out."},

	{"idempotency_key_invalid", 422, "The Idempotency-Key is not one key of 1 to 255 printable ASCII characters without spaces.",
		"Send such a key, bare or in double quotes."},
	{"idempotency_key_reused", 422, "The Idempotency-Key was used for another order.", "Send a new key for each order, and the same body with the same key."},
	{"no_lines", 422, "The order has no lines.", "Send one line at least."},
	{"too_many_lines", 422, "The order has more than 100 lines.", "Send several orders."},
	{"invalid_quantity", 422, "The quantity of a line is not between 1 and 10000.", "Correct it."},
	{"invalid_sku", 422, "The SKU of a line is empty, longer than 200 characters, or holds a control character.", "Send an SKU of GET /v1/products."},
	{"unknown_sku", 422, "There is no product with the SKU of a line.", "Send an SKU of GET /v1/products."},
	{"mixed_currencies", 422, "The products of the order have prices in several currencies.", "Send one order for each currency."},
	{"amount_overflow", 422, "The total is above 9007199254740991 minor units, the largest number that every client reads exactly.", "Order less."},
	{"payment_method_invalid", 422, "The payment method is not a token of the payment provider. Card numbers are never accepted.",
		"Have the payment provider make a token of the card, and send that."},
	{"unknown_payment_method", 422, "The payment provider does not know the payment method.", "Have it make a new token."},
	{"invalid_email", 422, "This is not an email address that mail can be sent to.", "Correct it."},
	{"invalid_name", 422, "The name is empty, too long, or holds a character that can't be shown.", "Correct it."},
	{"weak_password", 422, "The password is too easy to guess.", "Choose another one; the detail says what is required."},
	{"password_too_long", 422, "The password is too long.", "Choose a shorter one."},

	{"wrong_password", 422, "The current password is wrong.", "Correct it."},
	{"current_password_missing", 422, "A new email address came without the current password.", "Send current_password, too."},
	{"nothing_to_change", 422, "The body names nothing that is to be changed.", "Send an email address or a name."},

	{"precondition_required", 428, "The change of the profile came without If-Match.", "Send If-Match with the ETag of the profile that was read."},
	{"too_many_requests", 429, "More requests came from this address than may.", "Wait for as long as Retry-After says."},
	{"too_many_logins", 429, "More log-ins came from this address than may.", "Wait for as long as Retry-After says."},
	{"too_many_failed_logins", 429, "Too many log-ins from this address have failed.", "Wait for as long as Retry-After says."},
	{"too_many_wrong_passwords", 429, "Too many log-ins to this account from this address have failed.", "Wait for as long as Retry-After says."},
	{"too_many_registrations", 429, "More registrations came from this address than may.", "Wait for as long as Retry-After says."},
	{"too_many_orders", 429, "More orders came from this customer than may.",
		"Wait for as long as Retry-After says. Repeating an order with its key is no new order."},
	{"too_many_open_orders", 429, "As many orders of the customer as may be are not paid for yet.",
		"Wait until one of them is paid for or has ended; GET /v1/orders?state=pending lists them."},
	{"header_too_large", 431, "The request line and the headers are larger than 16 KiB together.", "Send fewer or shorter headers."},

	{"internal", 500, "Something went wrong on our side.", "Tell us the request_id, which finds it in our log. Repeat an order with its key only."},
	{"transfer_encoding_unsupported", 501, "The request has a transfer encoding that is not read.", "Send the body with a Content-Length, or chunked."},
	{"database_unavailable", 503, "A database does not answer.", "Repeat the request after the time that Retry-After names."},
	{"database_needs_operator", 503, "A database takes no requests until an operator has acted.", "Repeat the request later."},
	{"deadline_exceeded", 503, "The answer did not come within five seconds.", "Repeat the request. An order is safe to repeat with its key."},
	{"timeout", 503, "The session could not be looked up in time.", "Repeat the request."},
	{"busy", 503, "Too many passwords are being checked at the moment.", "Repeat the request after the time that Retry-After names."},
	{"starting", 503, "The process is still starting.", "Repeat the request after the time that Retry-After names."},
	{"idempotency_key_expiring", 503, "The Idempotency-Key is being forgotten at this moment.", "Repeat the request: it is then a new order."},
	{"http_version_unsupported", 505, "The request has a version of HTTP that is not spoken here.", "Send it as HTTP/1.1."},
}
