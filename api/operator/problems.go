package operator

import "example.com/orderly/api"

// problems are the failures that only this port has. /problems/{code} shows them; a test holds the table against the codes in use.
var problems = []api.Problem{
	{Code: "temporary_password_expired", Status: 401, Means: "The temporary password was right and is older than 24 hours.",
		Remedy: "Have an admin run orderly operators reset."},
	{Code: "wrong_code", Status: 401, Means: "The code of the second factor is wrong, or was used already.",
		Remedy: "Send the next code that the app shows, or another recovery code. Check the clock of the phone."},
	{Code: "second_factor_required", Status: 403, Means: "The session was opened with a password, and lacks the second factor.",
		Remedy: "Give the second factor; after a temporary password, enrol."},
	{Code: "admin_required", Status: 403, Means: "Only an admin may ask for this.", Remedy: "Ask an admin."},
	{Code: "operator_not_found", Status: 404, Means: "There is no such operator, or no longer.", Remedy: "List the operators."},
	{Code: "second_factor_given", Status: 409, Means: "The session has the second factor already.", Remedy: "Go on with its token."},
	{Code: "not_enrolled", Status: 409, Means: "The operator has no second factor yet.", Remedy: "Enrol."},
	{Code: "second_factor_locked", Status: 409, Means: "A hundred codes in a row were wrong.", Remedy: "Have an admin run orderly operators reset."},
	{Code: "enrolled_already", Status: 409, Means: "The operator has a second factor. A password alone can't replace it.",
		Remedy: "Give the second factor; for a lost one have an admin run orderly operators reset."},
	{Code: "enrolment_not_begun", Status: 409, Means: "No secret was asked for that the code could be made with.", Remedy: "Ask for the secret first."},
	{Code: "last_admin", Status: 409, Means: "The only admin can't be removed here.",
		Remedy: "Make another admin first, or run orderly operators remove --force."},
	{Code: "password_unchanged", Status: 422, Means: "The password is the temporary one.", Remedy: "Choose another one."},
	{Code: "too_many_tries", Status: 429, Means: "Five codes in a row were wrong.", Remedy: "Wait for as long as Retry-After says."},
}
