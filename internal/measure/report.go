package measure

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Report is what a run came to. Its JSON form is for programs.
type Report struct {
	// Environment is what the figures depend on.
	Environment []Fact    `json:"environment"`
	Figures     []Figure  `json:"figures"`
	Verdicts    []Verdict `json:"verdicts"`
	// Notes say what was not measured or is not what it seems, and why.
	Notes []string `json:"notes"`
}

// Fact is one thing worth knowing about where a run took place.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Figure is one figure of one contestant.
type Figure struct {
	Part       string  `json:"part"`
	Contestant string  `json:"contestant"`
	Name       string  `json:"name"`
	Unit       string  `json:"unit"`
	Median     float64 `json:"median"`
	Lowest     float64 `json:"lowest"`
	Highest    float64 `json:"highest"`
	Rounds     Series  `json:"rounds"`
}

// Kind is a figure that contestants have, and its unit.
type Kind struct{ Name, Unit string }

// Add adds the figures of these contestants, in the given order. A contestant that lacks a figure is left out of it.
func (r *Report) Add(part string, results Results, contestants []Contestant, kinds []Kind) {
	for _, kind := range kinds {
		for _, c := range contestants {
			values := results[c.Name][kind.Name]
			if len(values) == 0 {
				continue
			}
			f := Figure{Part: part, Contestant: c.Name, Name: kind.Name, Unit: kind.Unit, Median: values.Median(), Rounds: values}
			f.Lowest, f.Highest = values.Spread()
			r.Figures = append(r.Figures, f)
		}
	}
}

// Hold adds a verdict that could be reached.
func (r *Report) Hold(v Verdict, ok bool) {
	if ok {
		r.Verdicts = append(r.Verdicts, v)
	}
}

// Facts writes the environment as a table.
func Facts(w io.Writer, facts []Fact) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, f := range facts {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", f.Name, f.Value)
	}
	return table.Flush()
}

// Table writes figures, verdicts and notes as text, for people.
func (r *Report) Table(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	part := ""
	for _, f := range r.Figures {
		if f.Part != part {
			part = f.Part
			_, _ = fmt.Fprintf(table, "\n%s\tMEDIAN\tLOWEST\tHIGHEST\t\t\n", part)
		}
		_, _ = fmt.Fprintf(table, "%s, %s\t%s\t%s\t%s\t%s\t\n", f.Name, f.Contestant,
			short(f.Median), short(f.Lowest), short(f.Highest), f.Unit)
	}
	if len(r.Verdicts) > 0 {
		_, _ = fmt.Fprintf(table, "\nRATIO OR BUDGET\tVALUE\tLOWEST\tHIGHEST\tBUDGET\t\n")
	}
	for _, v := range r.Verdicts {
		_, _ = fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%.2f\t%s\t%s\n", v.Name, v.Value, v.Lowest, v.Highest, v.Budget, v.word())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, note := range r.Notes {
		if _, err := fmt.Fprintf(w, "\nNote: %s\n", note); err != nil {
			return err
		}
	}
	return nil
}

func (v Verdict) word() string {
	switch {
	case v.Met == nil:
		return ""
	case *v.Met:
		return "met"
	}
	return "NOT MET"
}

// short is a value with about three digits that say something.
func short(value float64) string {
	switch {
	case value >= 100:
		return fmt.Sprintf("%.0f", value)
	case value >= 10:
		return fmt.Sprintf("%.1f", value)
	}
	return fmt.Sprintf("%.2f", value)
}
