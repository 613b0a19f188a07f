package measure

import "fmt"

// Bound is what a value is held against: at least the one or at most the other. The zero value holds it against nothing.
type Bound struct{ AtLeast, AtMost float64 }

// String is the bound in words; empty without one.
func (b Bound) String() string {
	switch {
	case b.AtLeast != 0:
		return fmt.Sprintf("at least %g", b.AtLeast)
	case b.AtMost != 0:
		return fmt.Sprintf("at most %g", b.AtMost)
	}
	return ""
}

func (b Bound) met(value float64) bool {
	return value >= b.AtLeast && (b.AtMost == 0 || value <= b.AtMost)
}

// Verdict is a value beside its budget.
type Verdict struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	// Lowest and Highest are those of the single rounds.
	Lowest  float64 `json:"lowest"`
	Highest float64 `json:"highest"`
	Budget  string  `json:"budget,omitempty"`
	// Met is nil where there is no budget.
	Met *bool `json:"met,omitempty"`
}

// Ratio holds one median over another against the bound. Its spread is that of the rounds, each compared with the other side of the
// same round. ok is false when one side has no values or is zero.
func Ratio(name string, over, under Series, bound Bound) (v Verdict, ok bool) {
	if len(over) == 0 || len(over) != len(under) || under.Median() == 0 {
		return Verdict{}, false
	}
	single := make(Series, 0, len(over))
	for i, value := range over {
		if under[i] == 0 {
			return Verdict{}, false
		}
		single = append(single, value/under[i])
	}
	return judge(name, over.Median()/under.Median(), single, bound), true
}

// Judge holds a median against the bound. ok is false when there are no values.
func Judge(name string, values Series, bound Bound) (v Verdict, ok bool) {
	if len(values) == 0 {
		return Verdict{}, false
	}
	return judge(name, values.Median(), values, bound), true
}

func judge(name string, value float64, rounds Series, bound Bound) Verdict {
	v := Verdict{Name: name, Value: value, Budget: bound.String()}
	v.Lowest, v.Highest = rounds.Spread()
	if v.Budget != "" {
		met := bound.met(value)
		v.Met = &met
	}
	return v
}
