package database

// Line is one line of a table of verdicts.
type Line struct {
	Means, Why string
	Again      bool
}

func line(v verdict) Line { return Line{string(v.means), v.why, v.again} }

// SQLStates are the lines of sqlstates, by class or code.
func SQLStates() map[string]Line {
	lines := map[string]Line{}
	for code, v := range sqlstates {
		lines[code] = line(v)
	}
	return lines
}

// ResultCodes are the lines of resultCodes, by code.
func ResultCodes() map[int]Line {
	lines := map[int]Line{}
	for code, v := range resultCodes {
		lines[code] = line(v)
	}
	return lines
}
