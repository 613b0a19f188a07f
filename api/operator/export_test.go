package operator

// ProblemCodes are the codes of the table of problems.
func ProblemCodes() []string {
	var codes []string
	for _, p := range problems {
		codes = append(codes, p.Code)
	}
	return codes
}
