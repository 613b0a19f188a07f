package measure

import (
	"html"
	"io"
	"slices"
	"strconv"
	"text/template"
)

// The drawing, in units of SVG.
const (
	plotWidth  = 900.0
	plotLeft   = 330.0 // where bars begin; their labels stand before it
	plotRight  = 120.0 // kept free for the value behind the longest bar
	barHeight  = 22.0
	panelExtra = 44.0 // a panel's title and the room below it
	plotHead   = 60.0
)

var drawing = template.Must(template.New("").Funcs(template.FuncMap{"text": html.EscapeString, "short": short, "px": px}).Parse(
	`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="white"/>
<text x="16" y="28" font-size="18">{{text .Title}}</text>
<text x="16" y="48" fill="#555">blue: ours; grey: the library alone; the line goes from the lowest to the highest round</text>
{{- range .Panels}}
<text x="16" y="{{px .Y}}" font-weight="bold">{{text .Title}}</text>
{{- range .Bars}}
<text x="320" y="{{px .TextY}}" text-anchor="end">{{text .Label}}</text>
<rect x="330" y="{{px .Y}}" width="{{px .Width}}" height="14" fill="{{.Colour}}"/>
<path d="M{{px .Low}} {{px .Middle}} H{{px .High}} M{{px .Low}} {{px .Y}} v14 M{{px .High}} {{px .Y}} v14" stroke="#333" fill="none"/>
<text x="{{px .ValueX}}" y="{{px .TextY}}">{{short .Median}}</text>
{{- end}}{{end}}
</svg>
`))

// px keeps the drawing short: a tenth of a unit can't be seen.
func px(value float64) string { return strconv.FormatFloat(value, 'f', 1, 64) }

// Ours are the contestants whose bars are drawn in the stronger colour.
type Ours func(contestant string) bool

type panel struct {
	Title string
	Y     float64
	Bars  []bar
}

type bar struct {
	Figure
	Label, Colour                              string
	Y, TextY, Middle, Width, Low, High, ValueX float64
}

// Plot draws the figures as SVG: a panel for each kind, a bar for each contestant as long as its median, a line from its lowest to its
// highest round.
func (r *Report) Plot(w io.Writer, title string, ours Ours) error {
	var panels []panel
	y := plotHead
	for rest := r.Figures; len(rest) > 0; {
		first := rest[0]
		count := slices.IndexFunc(rest, func(f Figure) bool { return f.Part != first.Part || f.Name != first.Name })
		if count < 0 {
			count = len(rest)
		}
		y += 20
		p := panel{Title: first.Part + ": " + first.Name + ", " + first.Unit, Y: y}
		for _, f := range rest[:count] {
			y += barHeight
			p.Bars = append(p.Bars, draw(f, rest[:count], y, ours(f.Contestant)))
		}
		y += panelExtra - 20
		panels = append(panels, p)
		rest = rest[count:]
	}
	return drawing.Execute(w, map[string]any{"Title": title, "Panels": panels, "Width": plotWidth, "Height": y})
}

func draw(f Figure, beside []Figure, y float64, ours bool) bar {
	longest := 0.0
	for _, other := range beside {
		longest = max(longest, other.Highest)
	}
	scale := 0.0
	if longest > 0 {
		scale = (plotWidth - plotLeft - plotRight) / longest
	}
	b := bar{
		Figure: f, Label: f.Contestant, Colour: "#b8c4d0", Y: y - 12, TextY: y, Middle: y - 5,
		Width: f.Median * scale, Low: plotLeft + f.Lowest*scale, High: plotLeft + f.Highest*scale,
	}
	if ours {
		b.Colour = "#3b7dd8"
	}
	b.ValueX = max(b.High, plotLeft+b.Width) + 8
	return b
}
