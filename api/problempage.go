package api

import (
	"bytes"
	"html/template"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// titleOf is a code in words.
func titleOf(code string) string {
	words := strings.ReplaceAll(code, "_", " ")
	return strings.ToUpper(words[:1]) + words[1:]
}

var problemTemplate = template.Must(template.New("problem").Parse(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}}</title></head>
<body>
<h1>{{.Title}}</h1>
<p>Status {{.Status}} {{.Text}}, code <code>{{.Code}}</code></p>
<p>{{.Means}}</p>
<p>{{.Remedy}}</p>
</body>
</html>
`))

// problemPage is what the type of a problem document leads to: what its code means and what to do.
func (a *API) problemPage(c *gin.Context, _ login) error {
	for _, p := range a.problems {
		if p.code != c.Param("code") {
			continue
		}
		var page bytes.Buffer
		if err := problemTemplate.Execute(&page, map[string]any{
			"Title": titleOf(p.code), "Status": p.status, "Text": http.StatusText(p.status), "Code": p.code, "Means": p.means, "Remedy": p.remedy,
		}); err != nil {
			return err
		}
		c.Header("Content-Security-Policy", "default-src 'none'")
		writeKept(c, keptForMinutes, "text/html; charset=utf-8", page.Bytes())
		return nil
	}
	return unknownRoute(c)
}
