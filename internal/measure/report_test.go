package measure_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/measure"
)

func example() *measure.Report {
	r := &measure.Report{
		Environment: []measure.Fact{{Name: "machine", Value: "2 CPUs"}},
		Notes:       []string{"nothing else was looked at"},
	}
	contestants := []measure.Contestant{{Name: "ours"}, {Name: "theirs <bare>"}}
	results := measure.Results{
		"ours":          {"rate": {80, 90, 70}, "p50": {1.25, 1, 2}},
		"theirs <bare>": {"rate": {100, 150, 125}},
	}
	r.Add("things", results, contestants, []measure.Kind{{Name: "rate", Unit: "per second"}, {Name: "p50", Unit: "ms"}})
	r.Hold(measure.Ratio("ours over theirs", results["ours"]["rate"], results["theirs <bare>"]["rate"], measure.Bound{AtLeast: 0.8}))
	r.Hold(measure.Judge("p50", results["ours"]["p50"], measure.Bound{AtMost: 2}))
	r.Hold(measure.Judge("p99", nil, measure.Bound{AtMost: 2}))
	return r
}

func TestTable(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	require.NoError(t, measure.Facts(&text, example().Environment))
	require.NoError(t, example().Table(&text))
	var lines []string
	for line := range strings.Lines(text.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	require.Equal(t, []string{
		"machine 2 CPUs",
		"",
		"things MEDIAN LOWEST HIGHEST",
		"rate, ours 80.0 70.0 90.0 per second",
		"rate, theirs <bare> 125 100 150 per second",
		"p50, ours 1.25 1.00 2.00 ms",
		"",
		"RATIO OR BUDGET VALUE LOWEST HIGHEST BUDGET",
		"ours over theirs 0.64 0.56 0.80 at least 0.8 NOT MET",
		"p50 1.25 1.00 2.00 at most 2 met",
		"",
		"Note: nothing else was looked at",
	}, lines)
}

func TestJSON(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(example())
	require.NoError(t, err)
	require.JSONEq(t, `{
		"environment": [{"name": "machine", "value": "2 CPUs"}],
		"figures": [
			{"part": "things", "contestant": "ours", "name": "rate", "unit": "per second", "median": 80, "lowest": 70, "highest": 90, "rounds": [80, 90, 70]},
			{"part": "things", "contestant": "theirs <bare>", "name": "rate", "unit": "per second", "median": 125, "lowest": 100, "highest": 150, "rounds": [100, 150, 125]},
			{"part": "things", "contestant": "ours", "name": "p50", "unit": "ms", "median": 1.25, "lowest": 1, "highest": 2, "rounds": [1.25, 1, 2]}
		],
		"verdicts": [
			{"name": "ours over theirs", "value": 0.64, "lowest": 0.56, "highest": 0.8, "budget": "at least 0.8", "met": false},
			{"name": "p50", "value": 1.25, "lowest": 1, "highest": 2, "budget": "at most 2", "met": true}
		],
		"notes": ["nothing else was looked at"]
	}`, string(body))
}

// The drawing is well-formed, has a bar of its length for each contestant, and takes names as they are.
func TestPlot(t *testing.T) {
	t.Parallel()
	var svg strings.Builder
	require.NoError(t, example().Plot(&svg, "a & b", func(name string) bool { return name == "ours" }))
	type bar struct{ width, fill string }
	var bars []bar
	var texts []string
	for d := xml.NewDecoder(strings.NewReader(svg.String())); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			attributes := map[string]string{}
			for _, a := range token.Attr {
				attributes[a.Name.Local] = a.Value
			}
			if token.Name.Local == "rect" && attributes["height"] == "14" {
				bars = append(bars, bar{attributes["width"], attributes["fill"]})
			}
		case xml.CharData:
			if text := strings.TrimSpace(string(token)); text != "" {
				texts = append(texts, text)
			}
		}
	}
	require.Equal(t, []bar{{"240.0", "#3b7dd8"}, {"375.0", "#b8c4d0"}, {"281.2", "#3b7dd8"}}, bars)
	require.Equal(t, "a & b", texts[0])
	require.Contains(t, texts, "theirs <bare>")
	require.Contains(t, texts, "things: p50, ms")
	require.NotContains(t, svg.String(), "NaN")
}

func TestPlotOfNothing(t *testing.T) {
	t.Parallel()
	var svg strings.Builder
	r := &measure.Report{}
	r.Add("things", measure.Results{"ours": {"rate": {0, 0}}}, []measure.Contestant{{Name: "ours"}}, []measure.Kind{{Name: "rate"}})
	require.NoError(t, r.Plot(&svg, "", func(string) bool { return true }))
	require.NotContains(t, svg.String(), "NaN")
}
