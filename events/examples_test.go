package events_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the examples need and can't import here would be missed by every listener in another repository.
func TestTheExamplesImportOnlyTheEventsOfThisModule(t *testing.T) {
	t.Parallel()
	const module, public = "example.com/orderly", "example.com/orderly/events"
	files, err := filepath.Glob("../examples/*/*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	listens := false
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			listens = listens || imported == public+"/listen"
			if imported == module || strings.HasPrefix(imported, module+"/") {
				require.True(t, imported == public || strings.HasPrefix(imported, public+"/"), "%s imports %s", path, imported)
			}
		}
	}
	require.True(t, listens)
}
