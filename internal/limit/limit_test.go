package limit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/limit"
)

func TestRatesAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]limit.Rate{
		"10/1m": {Burst: 10, Per: time.Minute}, "1/24h": {Burst: 1, Per: 24 * time.Hour}, "off": {}, "": {}, "1000000/1s": {Burst: 1000000, Per: time.Second},
	} {
		got, err := limit.ParseRate(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, want == limit.Rate{}, got.Unlimited())
	}
	for _, wrong := range []string{"10", "10/m", "10/0s", "0/1m", "-1/1m", "ten/1m", "10/1m/1m", "1.5/1m", "2000000/1m", "1/1000h", "1/1ms", "on", " 10/1m", "/"} {
		_, err := limit.ParseRate(wrong)
		require.ErrorContains(t, err, fmt.Sprintf("%q", wrong))
	}
}

func TestMemoryIsBoundedAndKeepsWhatOwesMost(t *testing.T) {
	t.Parallel()
	clock := newClock()
	m := limit.Bounded(limit.NewMemory(clock.now), 10)
	rate := limit.Rate{Burst: 3, Per: time.Minute}
	for range 3 {
		require.True(t, m.Take("logins", "the flood", rate, 1).Allowed)
	}
	for i := range 1000 { // each of them new
		require.True(t, m.Take("logins", fmt.Sprint("source ", i), rate, 1).Allowed)
		require.False(t, m.Take("logins", "the flood", rate, 1).Allowed, "new keys have opened the limit")
		require.True(t, m.Take("orders", fmt.Sprint("customer ", i), rate, 1).Allowed)
	}
	kept := 0
	for i := range 1000 {
		if m.Take("logins", fmt.Sprint("source ", i), rate, 0).Remaining < rate.Burst {
			kept++
		}
	}
	require.Equal(t, 9, kept)
	clock.add(time.Minute)
	require.True(t, m.Take("logins", "the flood", rate, 3).Allowed)
}
