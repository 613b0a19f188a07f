package node

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/node/config"
)

func TestOnlyWhereRequestsAreRoutedAProcessServesOn(t *testing.T) {
	t.Parallel()
	set := 7 * time.Second
	for _, role := range AllRoles() {
		n := &Node{roles: Roles{role}}
		want := time.Duration(0)
		if role.Name == "api" || role.Name == "operator" {
			want = defaultDrain
		}
		require.Equal(t, want, n.drainTime(), role.Name)
		n.cfg = config.Config{DrainTime: &set}
		require.Equal(t, want != 0, n.drainTime() == set, role.Name)
		n.cfg, n.develop = config.Config{}, true
		require.Zero(t, n.drainTime(), role.Name)
	}
}
