package activities

// Translate is the table, for its test.
var Translate = translate

// Payloads are the zero values of what crosses Temporal, by the name of its golden file.
func Payloads() map[string]any {
	payloads := map[string]any{}
	for _, d := range declared {
		payloads[d.name] = d.in
		if d.out != nil {
			payloads[d.name+".result"] = d.out
		}
	}
	return payloads
}
